"""Drift: lines by layer beside controls, heat maps of pairs, growth through training, tables that hold the numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_drift import layer_row
from made_findings import TEXT, made_findings, plan_of
from tunescope.report.content.drift import drift_section


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def _cells(table, number):
    return dict(zip((column.name for column in table.columns), table.rows[number].cells, strict=True))


def test_lines_by_layer_are_one_minus_the_similarity(findings):
    chart = drift_section(findings).charts[0]
    assert (chart.id, chart.x.categories) == ("drift-layers-mrpc-last-token", ("emb", "1", "2", "norm"))
    by_name = {series.name: series for series in chart.series}
    assert [point.y for point in by_name["full"].points] == pytest.approx([0.31] * 4)
    assert [point.y for point in by_name["full seed 3"].points] == pytest.approx([0.32] * 4)
    assert by_name["full seed 3"].is_faint
    assert by_name["base model, read again"].role == "control"
    assert "base model, other examples" not in by_name, "it would flatten the chart"
    assert "Not drawn: base model, other examples, 0.9900 to 0.9900 over the blocks." in chart.note
    assert "mean over 3 seeds" in chart.note


def test_pairs_of_layers_are_a_heat_map_per_method(findings):
    heat = next(chart for chart in drift_section(findings).charts if chart.id == "drift-pairs-mrpc-lora-last-token")
    assert heat.values[0] == (1.0, 0.25, 0.25, 0.25)
    assert heat.limits == (0.0, 1.0)
    assert heat.note.endswith("Mean over 3 seeds.")


def test_the_sentences_set_methods_beside_their_controls(findings):
    told = [sentence.text for sentence in drift_section(findings).sentences]
    assert told[0].startswith("Drift is one minus the debiased linear CKA"), (
        "the numbers below have no unit of their own"
    )
    assert told[1].startswith("On mrpc: full 0.3100 [0.2852, 0.3348]; lora 0.1033 [")
    assert told[2].startswith("To read that against: ")
    assert "lora: seed against seed 0.0200" in told[2]


def test_the_tables_hold_every_run_and_mean(findings):
    means, runs, layers = drift_section(findings).tables
    assert [row.cells[-2].value for row in means.rows][:2] == [3, 3]
    assert _cells(means, 0)["drift"].value == pytest.approx(0.31)
    assert len(runs.rows) == len(findings.drift)
    assert [row.cells[4].value for row in runs.rows] == [one.drift for one in findings.drift]
    assert _cells(layers, 0)["cosine"].value == pytest.approx(0.9)
    assert _cells(layers, 0)["drift"].value == pytest.approx(0.31)
    assert len(layers.rows) == 2 * 2 * 4


def test_pairs_of_seeds_have_no_interval_as_they_share_runs(findings):
    means = drift_section(findings).tables[0]
    names = [column.name for column in means.columns]
    seeds = [
        dict(zip(names, row.cells, strict=True)) for row in means.rows if row.cells[2].shown == "seed against seed"
    ]
    assert len(seeds) == 4
    assert all(row["drift"].value == 0.02 and row["low"].value is None for row in seeds)


def test_growth_through_training(findings):
    cells = [cell for cell in findings.plan.drift if cell.what == "run" and cell.task.name == "mrpc"]
    rows = [
        layer_row(cell, "tuned", f"block_0{block}", "debiased_linear_cka", 1.0 - 0.01 * step * block, step=step)
        for cell in cells
        for step in (10, 20)
        for block in (1, 2)
    ]
    section = drift_section(replace(findings, layers=(*findings.layers, *rows)))
    chart = next(chart for chart in section.charts if chart.id == "drift-training-mrpc")
    full = next(series for series in chart.series if series.name == "full")
    assert [(point.x, point.y) for point in full.points] == [(10.0, pytest.approx(0.15)), (20.0, pytest.approx(0.30))]
    assert "400 selection rows" in chart.note


def test_a_layer_without_a_value_is_left_out(findings):
    rows = tuple(replace(row, value=None) if row.state == "block_02" else row for row in findings.layers)
    chart = drift_section(replace(findings, layers=rows)).charts[0]
    full = next(series for series in chart.series if series.name == "full")
    assert [point.x for point in full.points] == ["emb", "1", "norm"]


def test_what_is_not_asked_for_says_how_to_ask():
    findings = made_findings(plan_of(TEXT.replace("drift: {}", "")))
    assert drift_section(findings).missing == (
        "Not measured: the study has no `drift:` section. Add `drift: {}` and run it again; finished runs are kept."
    )


def test_what_failed_says_why(findings):
    failed = [replace(one, drift=None, state="failed", reason="out of memory") for one in findings.drift]
    assert "out of memory" in drift_section(replace(findings, drift=tuple(failed), layers=())).missing


def test_a_pooling_by_mean_does_not_read_as_a_mean_over_seeds(findings):
    layers = tuple(replace(row, pooling="mean") for row in findings.layers)
    titles = [chart.title for chart in drift_section(replace(findings, layers=layers)).charts]
    assert titles[0] == "Drift by layer on mrpc (mean over tokens)"
    assert all("(mean)" not in title for title in titles)
