"""Exact p-values by hand, the smallest p a study could have given, ties, and Monte Carlo against exact."""

import itertools
import math

import numpy as np
import pytest

from tunescope.stats.permutation import label_permutation_test, sign_flip_test


@pytest.mark.parametrize(
    "num_seeds,smallest", [(1, 1.0), (2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125), (10, 2 / 1024)]
)
def test_sign_flip_reaches_its_smallest_p_where_all_seeds_agree(num_seeds, smallest):
    result = sign_flip_test([0.01 * (s + 1) for s in range(num_seeds)])
    assert result.p_value == smallest
    assert result.smallest_p == smallest
    assert result.num_units == num_seeds
    assert "exact" in result.method


@pytest.mark.parametrize("size_a,size_b", [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 5), (5, 5), (1, 9)])
def test_labels_reach_their_smallest_p_where_the_arms_do_not_overlap(size_a, size_b):
    rng = np.random.default_rng(size_a * 10 + size_b)
    least = 1.0
    for a in (10.0 + rng.random(size_a), -10.0 + rng.random(size_a)):
        result = label_permutation_test(a, rng.random(size_b))
        least = min(least, result.p_value)
    assert result.smallest_p == min(1.0, 2 / math.comb(size_a + size_b, size_a))
    assert least == result.smallest_p


def test_no_data_of_a_size_beat_the_smallest_p():
    # Every ordering of five distinct scores, split 2 : 3.
    ps = [label_permutation_test(order[:2], order[2:]) for order in itertools.permutations([0.0, 1.0, 2.5, 4.25, 7.0])]
    assert min(result.p_value for result in ps) == ps[0].smallest_p == 0.2


def test_identical_arms_have_p_1():
    assert sign_flip_test([0.0, 0.0, 0.0]).p_value == 1.0
    assert label_permutation_test([0.8, 0.8], [0.8, 0.8, 0.8]).p_value == 1.0


def test_ties_count_as_at_least_as_extreme_in_spite_of_rounding():
    # 0.1 + 0.2 - 0.3 is 5.6e-17, not 0: the patterns that sum to 0 must all count as ties of this one.
    assert sign_flip_test([0.1, 0.2, -0.3]).p_value == 1.0
    # |0.3|, from sums of 0.1 written two ways.
    shifted = np.array([0.8 - 0.7, 0.9 - 0.8, 0.4 - 0.3])
    assert sign_flip_test(shifted).p_value == 0.25
    assert sign_flip_test([0.8 - 0.7, 0.3 - 0.4, 0.1]).p_value == 1.0


def test_zero_one_differences_of_many_examples_are_exact_and_fast():
    differences = np.array([1.0] * 30 + [-1.0] * 12 + [0.0] * 830)
    result = sign_flip_test(differences)
    by_hand = 2 * sum(math.comb(42, j) for j in range(13)) / 2**42
    assert result.p_value == pytest.approx(by_hand, rel=1e-13)
    assert result.num_units == 872
    assert "exact" in result.method


def test_many_thousand_examples_never_give_p_0():
    result = sign_flip_test(np.ones(10_570))
    assert 0.0 < result.p_value < 1e-300
    assert result.p_value == result.smallest_p


def test_zero_one_scores_of_unpaired_examples_are_exact():
    a, b = np.array([1.0] * 70 + [0.0] * 30), np.array([1.0] * 50 + [0.0] * 70)
    result = label_permutation_test(a, b)
    ways = [math.comb(100, j) * math.comb(120, 120 - j) for j in range(101)]
    by_hand = 2 * sum(ways[70:]) / sum(ways)
    assert result.p_value == pytest.approx(by_hand, rel=1e-12)
    assert "exact" in result.method


def test_monte_carlo_agrees_with_exact_and_says_so():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.4, 1.0, size=12)
    exact = sign_flip_test(differences)
    drawn = sign_flip_test(differences, max_exact=10, seed=1)
    assert "exact" in exact.method
    assert "99999 random draws" in drawn.method
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * math.sqrt(exact.p_value / 99_999))
    a, b = rng.normal(0.5, 1.0, size=6), rng.normal(size=7)
    exact = label_permutation_test(a, b)
    drawn = label_permutation_test(a, b, max_exact=10, seed=1)
    assert "random draws" in drawn.method
    assert drawn.p_value == pytest.approx(exact.p_value, abs=8 * math.sqrt(exact.p_value / 99_999))


def test_monte_carlo_is_b_plus_1_over_m_plus_1_and_says_how_low_it_can_go():
    far = sign_flip_test(np.linspace(1.0, 2.0, 30), num_draws=99, seed=3)
    assert far.p_value == far.smallest_p == 0.01
    apart = label_permutation_test(np.linspace(9.0, 10.0, 12), np.linspace(0.0, 1.0, 13), num_draws=199, seed=3)
    assert apart.p_value == apart.smallest_p == 0.01


def test_a_seed_or_a_generator_gives_the_same_draws():
    differences = np.random.default_rng(5).normal(size=25)
    first = sign_flip_test(differences, seed=7, num_draws=999)
    assert sign_flip_test(differences, seed=7, num_draws=999) == first
    assert sign_flip_test(differences, seed=np.random.default_rng(7), num_draws=999) == first


@pytest.mark.parametrize("values", [[], [float("nan"), 1.0], [[0.1, 0.2]]])
def test_bad_values_are_refused(values):
    with pytest.raises(ValueError, match="sign_flip_test: differences"):
        sign_flip_test(values)
    with pytest.raises(ValueError, match="label_permutation_test: b"):
        label_permutation_test([0.5], values)


def test_no_draws_are_refused():
    with pytest.raises(ValueError, match="num_draws must be 1 or more, got 0"):
        sign_flip_test([0.1], num_draws=0)
    with pytest.raises(ValueError, match="num_draws must be 1 or more, got 0"):
        label_permutation_test([0.1], [0.2], num_draws=0)
