"""Cost: totals with failed jobs, methods beside the reference method, the ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import made_findings, plan_of, relative_cost
from tunescope.report.content.cost import cost_section


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def test_totals_count_every_job(findings):
    section = cost_section(findings)
    assert section.sentences[0].text == "12 jobs took 16 min 0 s."
    totals = next(table for table in section.tables if table.id == "cost-totals")
    assert [[cell.shown for cell in row.cells] for row in totals.rows] == [
        ["train", "12", "0", "16 min 0 s", "1.5 GiB"],
        ["all jobs", "12", "0", "16 min 0 s", "1.5 GiB"],
    ]
    assert totals.rows[-1].cells[3].value == 2 * 3 * (100.0 + 60.0)


def test_price_and_gpu_time_where_they_are_known(findings):
    costs = tuple(replace(cost, price=0.5, gpu_seconds=30.0, num_failed=1) for cost in findings.costs)
    section = cost_section(replace(findings, costs=costs))
    assert section.sentences[0].text == (
        "16 jobs took 16 min 0 s, 2 min 0 s of it on a GPU, 2.00 at the study's price per hour, 4 of them failed."
    )
    ledger = next(table for table in section.tables if table.id == "cost-ledger")
    assert ledger.columns[-1].name == "price"
    assert ledger.rows[0].cells[-1].value == 0.5


def test_predictions_stand_beside_what_was_measured(findings):
    costs = tuple(replace(cost, predicted_s=240.0) for cost in findings.costs)
    ledger = next(table for table in cost_section(replace(findings, costs=costs)).tables if table.id == "cost-ledger")
    names = [column.name for column in ledger.columns]
    assert ledger.rows[0].cells[names.index("predicted")].shown == "4 min 0 s (5 min 0 s)"


def test_methods_beside_the_reference(findings):
    plan = findings.plan
    relative = (
        relative_cost(plan, "mrpc", "lora"),
        relative_cost(plan, None, "full", parameters_ratio=1.0),
        relative_cost(plan, None, "lora"),
    )
    section = cost_section(replace(findings, relative_costs=relative))
    assert section.sentences[-1].text == (
        "lora beside full: 1/900 of the trained parameters, 0.6 times the training time, geometric mean over 2 tasks."
    )
    table = section.tables[0]
    assert [row.cells[0].shown for row in table.rows] == ["mrpc", "all tasks", "all tasks"]
    assert table.rows[0].cells[6].value == 1.0 / 900.0


def test_several_machines_are_told_of(findings):
    (one,) = findings.provenance.environments
    two = replace(findings.provenance, environments=(one, replace(one, hostname="node-b")))
    told = [sentence.text for sentence in cost_section(replace(findings, provenance=two)).sentences]
    assert any(line.startswith("Jobs ran on 2 machines") for line in told)


def test_nothing_spent_yet(findings):
    costs = tuple(replace(cost, num_done=0) for cost in findings.costs)
    assert "no job of the study has run" in cost_section(replace(findings, costs=costs)).missing


def test_small_prices_keep_their_digits(findings):
    costs = tuple(replace(cost, price=0.00123) for cost in findings.costs)
    section = cost_section(replace(findings, costs=costs))
    assert "0.0049 at the study's price per hour" in section.sentences[0].text
    ledger = next(table for table in section.tables if table.id == "cost-ledger")
    assert ledger.rows[0].cells[-1].shown == "0.0012"


def test_baselines_with_and_without_a_base_model_are_told_apart(findings):
    made = [
        replace(findings.costs[0], kind="baseline", method=None, base_model=model) for model in (None, "org/decoder")
    ]
    section = cost_section(replace(findings, costs=(*findings.costs, *made)))
    ledger = next(table for table in section.tables if table.id == "cost-ledger")
    assert [row.cells[2].shown for row in ledger.rows[-2:]] == ["baseline", "baseline of the base model"]


def test_energy_and_utilisation_where_they_are_known(findings):
    names = [column.name for table in cost_section(findings).tables for column in table.columns]
    assert not {"energy", "GPU busy", "GPU time"} & set(names)
    costs = tuple(
        replace(cost, energy_j=7200.0, gpu_utilisation_percent=81.6, gpu_seconds=90.0) for cost in findings.costs
    )
    section = cost_section(replace(findings, costs=costs))
    ledger = next(table for table in section.tables if table.id == "cost-ledger")
    names = [column.name for column in ledger.columns]
    shown = [ledger.rows[0].cells[names.index(name)].shown for name in ("GPU time", "GPU busy", "energy")]
    assert shown == ["1 min 30 s", "82%", "2 Wh"]
    assert "whoever used them" in ledger.note
    totals = next(table for table in section.tables if table.id == "cost-totals")
    names = [column.name for column in totals.columns]
    assert totals.rows[-1].cells[names.index("energy")].value == len(costs) * 7200.0
    assert {len(row.cells) for table in section.tables for row in table.rows if table is totals} == {len(names)}


def test_energy_of_a_part_is_not_that_of_all(findings):
    first, *rest = findings.costs
    costs = (replace(first, energy_j=7200.0), *rest)
    totals = next(t for t in cost_section(replace(findings, costs=costs)).tables if t.id == "cost-totals")
    assert "energy" not in [column.name for column in totals.columns]
