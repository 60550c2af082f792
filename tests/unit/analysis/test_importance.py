"""Importance of swept fields: the one that moves the score has the share, and few trials say so."""

from __future__ import annotations

import pytest

from made_findings import plan_of, trial_row
from tunescope.analysis.importance import importances

SWEPT = """
name: t
base_model: org/decoder
tasks: [rte]
methods:
  full: {learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}, weight_decay: {sweep: {uniform: [0.0, 0.1]}}}
seeds: [1]
sweep: {num_trials: 40, wave_size: 20}
"""


def _trials(plan, num, score=lambda number: 0.5 + 0.01 * number):
    return [
        trial_row(
            plan,
            "full",
            number,
            score(number),
            {"learning_rate": 10.0 ** (-5 + 2 * number / num), "weight_decay": 0.1 * (number * 7 % num) / num},
        )
        for number in range(num)
    ]


def test_the_field_that_moves_the_score_has_the_share():
    plan = plan_of(SWEPT)
    (found,) = importances(plan.study, _trials(plan, 40))
    shares = dict(found.shares)
    assert list(shares) == ["learning_rate", "weight_decay"]
    assert shares["learning_rate"] > 0.9
    assert sum(shares.values()) == pytest.approx(1.0)
    assert (found.num_trials, found.reason) == (40, "")
    assert importances(plan.study, _trials(plan, 40)) == [found], "its forest is seeded"


def test_few_trials_are_rough_and_fewer_none():
    plan = plan_of(SWEPT)
    (rough,) = importances(plan.study, _trials(plan, 12))
    assert rough.shares
    assert rough.reason == "from 12 completed trials, so rough"
    (none,) = importances(plan.study, _trials(plan, 7))
    assert (none.shares, none.reason) == ((), "7 completed trials; 8 are the least for it")


def test_failed_trials_are_left_out_and_equal_scores_say_nothing():
    plan = plan_of(SWEPT)
    (found,) = importances(plan.study, _trials(plan, 12, lambda number: None if number < 2 else 0.5))
    assert (found.num_trials, found.reason) == (10, "all completed trials score alike")


def test_a_sweep_of_one_field_has_nothing_to_divide():
    plan = plan_of(SWEPT.replace(", weight_decay: {sweep: {uniform: [0.0, 0.1]}}", ""))
    assert importances(plan.study, _trials(plan, 12)) == []
