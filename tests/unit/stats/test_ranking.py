"""Ranks, groups and the reasons where tasks or methods are too few."""

import numpy as np
import pytest

from tunescope.stats.ranking import rank_methods


def test_best_first_with_ties_sharing_ranks():
    ranking = rank_methods([[0.7, 0.9, 0.9], [0.5, 0.6, 0.8]], ["head", "lora", "full"])
    assert ranking.methods == ("full", "lora", "head")
    assert ranking.average_ranks == (1.25, 1.75, 3.0)
    lower = rank_methods([[0.7, 0.9, 0.9], [0.5, 0.6, 0.8]], ["head", "lora", "full"], higher_is_better=False)
    assert lower.methods == ("head", "lora", "full")


def test_groups_are_the_longest_runs_within_the_critical_difference():
    rng = np.random.default_rng(0)
    # 30 tasks: a and b alike, c and d alike, far apart.
    scores = np.hstack([rng.normal(1.0, 0.1, size=(30, 2)), rng.normal(0.0, 0.1, size=(30, 2))])
    ranking = rank_methods(scores, ["a", "b", "c", "d"])
    assert {frozenset(group) for group in ranking.groups} == {frozenset("ab"), frozenset("cd")}
    assert ranking.friedman.p_value < 1e-6


def test_methods_that_differ_everywhere_form_no_group():
    scores = np.tile([3.0, 2.0, 1.0], (40, 1))
    ranking = rank_methods(scores, ["a", "b", "c"])
    assert ranking.groups == ()
    assert ranking.friedman.p_value == pytest.approx(ranking.friedman.smallest_p, rel=1e-12)


def test_overlapping_groups_are_both_told_and_contained_ones_are_not():
    # Average ranks about 1.4, 2, 2.6: neighbours lie within the critical difference of 0.72, the ends do not.
    scores = np.array([[3, 2, 1]] * 10 + [[2, 3, 1]] * 5 + [[3, 1, 2]] * 5 + [[1, 2, 3]] * 1, dtype=float)
    assert rank_methods(scores, ["a", "b", "c"]).groups == (("a", "b"), ("b", "c"))


def test_too_few_tasks_or_methods_have_reasons():
    one_task = rank_methods([[0.9, 0.8, 0.7]], ["a", "b", "c"])
    assert one_task.average_ranks == (1.0, 2.0, 3.0)
    assert one_task.critical_difference is None
    assert one_task.reason == one_task.friedman.reason == "1 task; 2 or more are needed"
    two_methods = rank_methods([[0.9, 0.8], [0.9, 0.7]], ["a", "b"])
    assert two_methods.friedman.reason == "2 methods; 3 or more are needed"
    assert two_methods.critical_difference is not None
    assert rank_methods([[0.9], [0.8]], ["a"]).reason == "1 method; 2 or more are needed"


def test_equal_scores_everywhere_have_no_test():
    ranking = rank_methods(np.ones((5, 3)), ["a", "b", "c"])
    assert ranking.friedman.p_value is None
    assert ranking.friedman.reason == "all methods score the same on every task"
    assert ranking.groups == (("a", "b", "c"),)


@pytest.mark.parametrize(
    "scores,methods,words",
    [
        ([[0.1, 0.2]], ["a"], r"must be \(tasks, 1 methods\), got shape \(1, 2\)"),
        (np.zeros((0, 2)), ["a", "b"], "got shape"),
        ([[0.1, float("nan")]], ["a", "b"], "score of 'b' on task 0 is not a finite number"),
        ([[0.1, 0.2]], ["a", "a"], "each method must be named once"),
    ],
)
def test_bad_tables_are_refused(scores, methods, words):
    with pytest.raises(ValueError, match=words):
        rank_methods(scores, methods)
