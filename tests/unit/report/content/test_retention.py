"""Retention: losses on plain text and probes, beside the base model's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_drift import probed, retained
from made_findings import TEXT, made_findings, plan_of
from tunescope.report.content.retention import retention_section


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def _job(findings):
    return findings.plan.jobs[0].id


def test_losses_stand_beside_the_base_models(findings):
    runs = [run for run in findings.plan.runs if run.task.name == "mrpc"]
    rows = tuple(retained(run, _job(findings), 2.0, 2.0 + 0.1 * run.seed) for run in runs)
    section = retention_section(replace(findings, retention=rows))
    (chart,) = section.charts
    assert (chart.id, chart.levels[0].value) == ("retention-notes", 2.0)
    full = next(series for series in chart.series if series.name == "full")
    assert full.points[0].y == pytest.approx(2.2)
    assert section.sentences[0].text == (
        "full trained on mrpc: 2.2 nats per token of notes, +0.2 [-0.04841, +0.4484] against the base model's 2 (3 seeds)."
    )
    cells = dict(
        zip((column.name for column in section.tables[0].columns), section.tables[0].rows[0].cells, strict=True)
    )
    assert cells["loss - base loss"].value == pytest.approx(0.2)
    assert cells["KL from base"].value == 0.25


def test_probes_stand_beside_the_base_model_and_the_commonest_label(findings):
    runs = [run for run in findings.plan.runs if run.task.name == "mrpc"]
    rows = tuple(probed(run, _job(findings), None if run.seed == 3 else 0.7) for run in runs)
    section = retention_section(replace(findings, probes=rows))
    (chart,) = section.charts
    assert {line.name: line.value for line in chart.levels} == {"base model": 75.0, "commonest label": 50.0}
    assert chart.series[-1].points[0].y == pytest.approx(70.0)
    row = section.tables[0].rows[0].cells
    assert row[-1].shown == "2 of 3"
    assert any(sentence.text == "Not there: not run yet." for sentence in section.sentences)


def test_what_was_not_asked_for_says_how_to_ask(findings):
    missing = retention_section(findings).missing
    assert "`retention: {probes: true}`" in missing
    assert "file: notes.txt" in missing
    run = findings.plan.runs[0]
    waiting = replace(findings, probes=(probed(run, _job(findings), None),))
    assert retention_section(waiting).missing.startswith("Nothing measured yet: not run yet.")


def test_the_study_lines_it_names_are_read():
    for lines in ("retention: {probes: true}", "retention: {texts: [{name: notes, file: notes.txt}]}"):
        plan_of_lines = TEXT.replace("drift: {}", lines.replace("notes.txt", "plain.txt"))
        assert plan_of(plan_of_lines).study.retention is not None
