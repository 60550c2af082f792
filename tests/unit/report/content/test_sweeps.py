"""Sweeps: every trial, what a smaller budget would have found, sensitivity, importance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import made_findings, plan_of, sweep_summary, trial_row
from tunescope.report.content.sweeps import sweeps_section
from tunescope.stats.estimate import Estimate

SWEPT = """
name: t
base_model: org/decoder
tasks: [rte]
methods:
  full: {learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}, weight_decay: {sweep: {uniform: [0.0, 0.1]}}}
seeds: [1]
sweep: {num_trials: 12}
"""


@pytest.fixture(scope="module")
def findings():
    plan = plan_of(SWEPT)
    trials = tuple(
        trial_row(
            plan,
            "full",
            number,
            None if number == 11 else 0.6 + 0.02 * number,
            {"learning_rate": 10.0 ** (-5 + number / 6), "weight_decay": 0.1 * (number * 7 % 12) / 12},
            is_best=number == 10,
            state="failed" if number == 11 else "pruned" if number == 3 else "complete",
        )
        for number in range(12)
    )
    budget = ((1, Estimate(value=0.7, ci_low=0.65, ci_high=0.75)), (12, Estimate(value=0.8)))
    summary = sweep_summary(plan, "full", budget=budget, against_default="no default", warnings=("at the edge",))
    return replace(made_findings(plan), trials=trials, sweeps=(summary,))


def test_the_budget_curve_is_drawn_on_a_logarithm_of_trials(findings):
    chart = sweeps_section(findings).charts[0]
    assert (chart.id, chart.x.scale) == ("sweeps-budget-rte", "log")
    (series,) = chart.series
    assert [(point.x, point.y, point.low) for point in series.points] == [(1.0, 70.0, 65.0), (12.0, 80.0, None)]


def test_scores_against_each_swept_number_the_learning_rate_first(findings):
    charts = sweeps_section(findings).charts
    assert [(chart.id, chart.x.scale) for chart in charts[1:]] == [
        ("sweeps-field-rte-learning-rate", "log"),
        ("sweeps-field-rte-weight-decay", "linear"),
    ]
    faint, plain = charts[1].series
    assert (faint.name, faint.is_faint, len(faint.points)) == ("full, stopped early", True, 1)
    assert (plain.name, len(plain.points)) == ("full", 10)
    assert plain.points[-1].text == "trial 10, chosen"
    assert (plain.points[0].y, plain.points[0].low) == (pytest.approx(60.0), pytest.approx(58.0))


def test_every_trial_has_a_row_the_failed_one_with_its_reason(findings):
    table = sweeps_section(findings).tables[0]
    assert len(table.rows) == 12
    names = [column.name for column in table.columns]
    last = dict(zip(names, table.rows[-1].cells, strict=True))
    assert (last["score"].value, last["state"].tone, last["reason"].shown) == (None, "bad", "loss is not finite")
    assert dict(zip(names, table.rows[0].cells, strict=True))["settings"].shown == "learning_rate 1e-05, weight_decay 0"


def test_importance_is_told_as_rough(findings):
    section = sweeps_section(findings)
    (told,) = [sentence for sentence in section.sentences if "share of the spread" in sentence.text]
    assert "from 10 completed trials, so rough" in told.text
    shares = {row.cells[2].shown: row.cells[3].value for row in section.tables[1].rows}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["learning_rate"] > shares["weight_decay"]


def test_warnings_are_told(findings):
    assert ("rte full: at the edge.", "doubt") in [(one.text, one.tone) for one in sweeps_section(findings).sentences]


def test_a_study_without_a_sweep_says_how_to_search():
    missing = sweeps_section(made_findings(plan_of())).missing
    assert missing.startswith("No sweep: every method has fixed settings.")
    assert "log_uniform" in missing


def test_no_trial_with_a_score_yet(findings):
    rows = tuple(replace(row, score=None, state="missing") for row in findings.trials)
    assert "0 of 12 planned failed" in sweeps_section(replace(findings, trials=rows)).missing
