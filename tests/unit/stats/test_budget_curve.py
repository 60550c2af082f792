"""Expected best of k: by hand, failed trials, and when there is no interval."""

import math

import numpy as np
import pytest

from tunescope.stats.budget_curve import expected_best


def test_ends_are_the_mean_and_the_best():
    first, last = expected_best([0.7, 0.9, 0.5, 0.8], [1, 4])
    assert first.value == pytest.approx(0.725)
    assert last.value == 0.9


def test_two_of_three_by_hand():
    assert expected_best([1.0, 5.0, 2.0], [2])[0].value == pytest.approx((2 + 5 + 5) / 3)


def test_a_thousand_trials_do_not_overflow():
    scores = np.arange(1, 1001) / 1001.0
    for estimate, k in zip(expected_best(scores, [1, 30, 500, 999, 1000]), [1, 30, 500, 999, 1000], strict=True):
        # The mean of the highest of k of 1..n is k (n + 1) / (k + 1).
        assert estimate.value == pytest.approx(k / (k + 1), rel=1e-12)


def test_a_failed_trial_spends_its_budget():
    counted = expected_best([0.9, None, 0.7, None], [1, 2, 3])
    assert [estimate.value for estimate in counted] == pytest.approx([(0.9 + 3 * 0.7) / 4, 0.8, 0.85])
    assert "2 failed count as the lowest score known" in counted[0].method
    left_out = expected_best([0.9, None, 0.7, None], [1, 2, 3], failed="left_out")
    assert [estimate.value for estimate in left_out[:2]] == pytest.approx([0.8, 0.9])
    assert left_out[2].value is None
    assert "2 failed left out" in left_out[0].method


def test_above_the_number_of_failures_the_stand_in_does_not_matter():
    # Whatever stood for a failed trial below the lowest score, subsets of 3 of these hold a score.
    one, other = ([0.9, 0.8, 0.7, low, low] for low in (0.7, -5.0))
    assert expected_best([0.9, 0.8, 0.7, None, None], [3])[0].value == pytest.approx(expected_best(one, [3])[0].value)
    assert expected_best(one, [3])[0].value == pytest.approx(expected_best(other, [3])[0].value)


def test_no_interval_where_it_would_be_a_guess():
    scores = np.random.default_rng(0).normal(size=12)
    with_interval, without = expected_best(scores, [6, 7])
    assert with_interval.ci_low < with_interval.value < with_interval.ci_high
    assert without.value is not None
    assert without.ci_low is None
    assert without.reason == "no interval: 12 trials hold fewer than two independent sets of 7"
    equal = expected_best([0.8] * 6, [2])[0]
    assert (equal.value, equal.ci_low) == (0.8, None)
    assert "all score the same" in equal.reason


def test_the_interval_of_k_1_is_the_t_interval_of_the_mean():
    from scipy.stats import ttest_1samp

    scores = np.random.default_rng(1).normal(size=9)
    estimate = expected_best(scores, [1])[0]
    low, high = ttest_1samp(scores, 0.0).confidence_interval(0.95)
    assert (estimate.ci_low, estimate.ci_high) == (pytest.approx(low, rel=1e-12), pytest.approx(high, rel=1e-12))


def test_not_estimable_beyond_the_trials_run_or_where_all_failed():
    assert expected_best([0.5, 0.6], [3])[0].reason == "2 trials cannot say what 3 would find"
    assert expected_best([None, None], [1])[0].reason == "every trial failed"


@pytest.mark.parametrize(
    "arguments,words",
    [
        ({"scores": []}, "scores is empty"),
        ({"scores": [0.5, math.nan]}, "scores must be finite numbers"),
        ({"ks": [0]}, "each k must be 1 or more"),
        ({"failed": "zero"}, "failed must be"),
        ({"level": 1.0}, "level must lie"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=f"expected_best: {words}"):
        expected_best(**({"scores": [0.5, 0.6], "ks": [1]} | arguments))
