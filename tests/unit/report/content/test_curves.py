"""Learning curves: single seeds behind the mean at the steps that all have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import made_findings, plan_of
from tunescope.report.content.curves import curves_section


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def test_loss_and_selection_score_by_step(findings):
    loss, selection = curves_section(findings).charts[:2]
    assert (loss.id, selection.id) == ("curves-loss-mrpc", "curves-selection-mrpc")
    full = next(series for series in loss.series if series.name == "full")
    assert [(point.x, point.y) for point in full.points] == [
        (1.0, pytest.approx(3.0)),
        (2.0, pytest.approx(2.5)),
        (3.0, pytest.approx(7.0 / 3.0)),
    ]
    assert len([series for series in loss.series if series.is_faint]) == 6
    scores = next(series for series in selection.series if series.name == "full seed 1")
    assert [(point.x, point.y, point.text) for point in scores.points] == [(3.0, pytest.approx(70.0), "seed 1, kept")]


def test_one_seed_is_its_own_mean(findings):
    alone = replace(findings, curves=tuple(curve for curve in findings.curves if curve.seed == 1))
    loss = curves_section(alone).charts[0]
    assert [series.name for series in loss.series] == ["full", "lora"]
    assert loss.series[0].points[0].text == "mean of 1 seed"


def test_every_training_has_a_row(findings):
    (table,) = curves_section(findings).tables
    assert len(table.rows) == 12
    assert table.rows[0].cells[4].value == 3


def test_no_training_yet(findings):
    assert "no training is done" in curves_section(replace(findings, curves=())).missing
