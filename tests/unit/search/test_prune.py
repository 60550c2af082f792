"""A rule judges one curve alike whenever it is asked, each training against its own place in the earlier trials."""

from __future__ import annotations

import pytest

from tunescope.search.prune import pruning_rule
from tunescope.search.settings import Pruner
from tunescope.search.trial import Trial

GOOD, BAD = ((1, 0.7), (2, 0.8), (3, 0.9)), ((1, 0.1), (2, 0.1), (3, 0.1))
MEDIAN = Pruner(name="median", num_startup_trials=2)


def complete(number, *curves):
    return Trial(number=number, values={}, state="complete", score=0.9, curves=curves)


def test_a_curve_is_judged_alike_whole_or_bit_by_bit():
    rule = pruning_rule(MEDIAN, [complete(0, GOOD), complete(1, GOOD)], 0)
    assert [rule(BAD[:at]) for at in (1, 2, 3, 1)] == [True] * 4
    assert [rule(GOOD[:at]) for at in (1, 2, 3)] == [False] * 3
    assert rule(()) is False, "nothing was scored yet"


def test_no_trial_is_stopped_before_there_are_enough_or_where_all_failed():
    assert not pruning_rule(MEDIAN, [], 0)(BAD)
    assert not pruning_rule(MEDIAN, [complete(0, GOOD)], 0)(BAD)
    failed = [Trial(number=number, values={}, state="failed", curves=((),)) for number in range(5)]
    assert not pruning_rule(MEDIAN, failed, 0)(BAD)


@pytest.mark.parametrize("name", ["median", "percentile", "successive_halving", "wilcoxon"])
def test_failed_trials_count_for_nothing(name):
    settings = Pruner(name=name, num_startup_trials=2)
    trials = [complete(0, GOOD), complete(1, GOOD)]
    failed = [Trial(number=number, values={}, state="failed", curves=(BAD,)) for number in (2, 3, 4)]
    alone, among = pruning_rule(settings, trials, 0), pruning_rule(settings, [*trials, *failed], 0)
    for curve in (GOOD, BAD):
        for at in (1, 2, 3):
            assert name == "successive_halving" or alone(curve[:at]) == among(curve[:at])


def test_each_training_of_a_trial_is_compared_with_its_own_kind():
    trials = [complete(0, GOOD, BAD), complete(1, GOOD, BAD)]
    assert pruning_rule(MEDIAN, trials, 0)(BAD[:1])
    assert not pruning_rule(MEDIAN, trials, 1)(BAD[:1])
    assert not pruning_rule(MEDIAN, trials, 2)(BAD[:1]), "no earlier trial has a third"
