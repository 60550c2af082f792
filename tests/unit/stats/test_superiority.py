"""Wins by hand: ties half, intervals within [0, 1]."""

import pytest

from tunescope.stats.superiority import paired_probability_better, probability_better


def test_ties_count_half_and_widen_the_interval():
    estimate = paired_probability_better([0.1, 0.0, -0.2, 0.3])
    assert estimate.value == 0.625
    assert estimate.ci_low == paired_probability_better([0.1, -0.1, -0.2, 0.3]).ci_low
    assert estimate.ci_high == paired_probability_better([0.1, 0.1, -0.2, 0.3]).ci_high
    assert "ties" in estimate.method


def test_winning_every_seed_of_three_leaves_much_open():
    estimate = paired_probability_better([0.1, 0.2, 0.3])
    # (alpha / 2)^(1 / 3), Clopper and Pearson's limit for 3 of 3.
    assert (estimate.value, estimate.ci_low, estimate.ci_high) == (1.0, pytest.approx(0.025 ** (1 / 3)), 1.0)


def test_one_seed_and_all_ties_say_nearly_nothing():
    assert paired_probability_better([0.1]).ci_low == pytest.approx(0.025)
    tied = paired_probability_better([0.0, 0.0, 0.0])
    assert (tied.value, tied.ci_low, tied.ci_high) == (0.5, 0.0, 1.0)


def test_unpaired_share_of_pairs():
    estimate = probability_better([3.0, 4.0], [1.0, 3.0])
    assert estimate.value == 0.875
    assert 0.0 < estimate.ci_low < 0.875 < estimate.ci_high < 1.0


def test_rounding_is_a_tie():
    assert probability_better([0.1 + 0.2], [0.3]).value == 0.5


def test_separated_arms_keep_an_interval():
    estimate = probability_better([5.0, 6.0, 7.0], [1.0, 2.0, 3.0])
    assert (estimate.value, estimate.ci_high) == (1.0, 1.0)
    assert 0.2 < estimate.ci_low < 0.7
    worse = probability_better([1.0, 2.0, 3.0], [5.0, 6.0, 7.0])
    assert (worse.value, worse.ci_low) == (0.0, 0.0)
    assert worse.ci_high == pytest.approx(1.0 - estimate.ci_low, rel=1e-9)


def test_bad_values_are_refused():
    for values in ([], [float("inf")], [[1.0]]):
        with pytest.raises(ValueError, match="paired_probability_better: differences"):
            paired_probability_better(values)
        with pytest.raises(ValueError, match="probability_better: a"):
            probability_better(values, [1.0])
    with pytest.raises(ValueError, match="level must lie between"):
        probability_better([1.0], [2.0], level=0.0)
