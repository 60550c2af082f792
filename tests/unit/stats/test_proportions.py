"""Shares from counts: the intervals, tests and pairing bounds, against the papers' own figures and by enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from tunescope.stats.mcnemar import mcnemar
from tunescope.stats.proportions import (
    paired_proportion_difference,
    pairing_bounds,
    proportion,
    proportion_difference,
    proportion_test,
    wilson_interval,
)


def test_wilson_gives_newcombes_published_figures():
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3
    for (correct, n), expected in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert wilson_interval(correct, n) == pytest.approx(expected, abs=5e-5)


def test_wilson_ends_are_exact_where_none_or_all_are_right():
    assert wilson_interval(0, 1319)[0] == 0.0
    assert wilson_interval(1319, 1319)[1] == 1.0
    assert wilson_interval(1319, 1319)[0] == pytest.approx(1 - wilson_interval(0, 1319)[1], abs=1e-15)


def test_the_difference_gives_newcombes_published_figures():
    # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10
    for (a, m, b, n), expected in {
        (56, 70, 48, 80): (0.0524, 0.3339),
        (9, 10, 3, 10): (0.1705, 0.8090),
        (6, 7, 2, 7): (0.0582, 0.8062),
        (5, 56, 0, 29): (-0.0381, 0.1926),
        (0, 10, 0, 20): (-0.1611, 0.2775),
        (10, 10, 0, 10): (0.6075, 1.0000),
    }.items():
        found = proportion_difference(a, m, b, n)
        assert (found.ci_low, found.ci_high) == pytest.approx(expected, abs=5e-5)
        assert found.value == pytest.approx(a / m - b / n)


def test_the_difference_turns_its_sign_with_its_sides():
    one, other = proportion_difference(30, 70, 48, 80), proportion_difference(48, 80, 30, 70)
    assert (one.value, one.ci_low, one.ci_high) == pytest.approx((-other.value, -other.ci_high, -other.ci_low))


def test_the_paired_difference_is_narrower_where_the_same_examples_are_right():
    alike = paired_proportion_difference(590, 60, 40, 629)
    apart = proportion_difference(650, 1319, 630, 1319)
    assert alike.value == pytest.approx(apart.value)
    assert alike.ci_high - alike.ci_low < 0.5 * (apart.ci_high - apart.ci_low)


def test_the_paired_difference_gives_newcombes_published_figures():
    # Newcombe (1998), Statistics in Medicine 17, 2635-2650, table III, method 10; his last digit is off by one in places
    for cells, expected in {
        (36, 12, 2, 0): (0.0569, 0.3404),
        (20, 12, 2, 16): (0.0562, 0.3292),
        (18, 12, 2, 18): (0.0562, 0.3290),
        (36, 14, 0, 0): (0.1528, 0.4167),
        (35, 14, 0, 1): (0.1461, 0.4175),
        (18, 14, 0, 18): (0.1441, 0.3963),
        (2, 97, 1, 0): (0.8721, 0.9854),
        (1, 97, 1, 1): (0.8736, 0.9850),
        (0, 30, 0, 0): (0.8395, 1.0),
        (54, 0, 0, 0): (-0.0664, 0.0664),
        (30, 0, 0, 24): (-0.0358, 0.0358),
    }.items():
        found = paired_proportion_difference(*cells)
        assert (found.ci_low, found.ci_high) == pytest.approx(expected, abs=1e-4)


def test_all_right_or_all_wrong_on_both_sides_needs_no_correlation():
    found = paired_proportion_difference(10, 0, 0, 0)
    assert (found.value, found.ci_high) == (0.0, pytest.approx(-found.ci_low))


@pytest.mark.parametrize("test", ["fisher", "score"])
def test_equal_shares_have_p_one(test):
    assert proportion_test(5, 10, 5, 10, test=test).p_value == pytest.approx(1.0)
    assert proportion_test(0, 10, 0, 10, test=test).p_value == pytest.approx(1.0)


@pytest.mark.parametrize("test", ["fisher", "mid_p", "score"])
def test_no_p_is_zero(test):
    clearest = proportion_test(100_000, 100_000, 0, 100_000, test=test)
    assert 0 < clearest.p_value < 1e-300
    assert clearest.smallest_p == clearest.p_value


def test_the_smallest_p_is_that_of_all_against_none():
    assert proportion_test(4, 5, 1, 5).smallest_p == pytest.approx(2 / 252)


def _size(test, n, share, level):
    """The chance of p <= level where both shares are the same, over all tables that are not rejected out of hand."""
    weights = stats.binom.pmf(np.arange(n + 1), n, share)
    kept = [
        (a, b)
        for a in range(n + 1)
        for b in range(a, min(n, a + 5 * int(np.sqrt(n))) + 1)
        if proportion_test(a, n, b, n, test=test).p_value > level
    ]
    return 1 - sum(weights[a] * weights[b] * (1 + (a != b)) for a, b in kept)


def test_fishers_size_is_never_above_its_level():
    for n, share, level in product((5, 20, 40), (0.05, 0.3, 0.5), (0.05, 0.001)):
        assert _size("fisher", n, share, level) <= level + 1e-12


def test_sizes_are_as_the_docstring_says():
    found = {test: _size(test, 100, 0.5, 0.05) / 0.05 for test in ("fisher", "mid_p", "score")}
    assert found == pytest.approx({"fisher": 0.80, "mid_p": 1.12, "score": 1.12}, abs=0.005)


def test_pairing_bounds_hold_every_way_the_answers_could_coincide():
    n = 7
    for right_a, right_b in product(range(n + 1), repeat=2):
        found = [
            (mcnemar([1] * right_a + [0] * (n - right_a), b).test.p_value, int(np.sum(np.array(b) != a)))
            for a in [[1] * right_a + [0] * (n - right_a)]
            for b in product((0, 1), repeat=n)
            if sum(b) == right_b
        ]
        bounds = pairing_bounds(right_a, right_b, n)
        assert bounds.least_p == pytest.approx(min(p for p, _ in found))
        assert bounds.greatest_p == pytest.approx(max(p for p, _ in found))
        assert bounds.least_discordant == min(count for _, count in found)
        assert bounds.most_discordant == max(count for _, count in found)


def test_a_share_carries_its_interval_and_says_what_it_is_over():
    found = proportion(640, 1319)
    assert found.value == 640 / 1319
    assert found.ci_low < found.value < found.ci_high
    assert "over examples" in found.method
    assert found.num_examples == 1319


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson_interval(-1, 10),
        lambda: wilson_interval(11, 10),
        lambda: wilson_interval(0, 0),
        lambda: wilson_interval(5, 10, level=1.0),
        lambda: proportion_difference(1, 2, 3, 2),
        lambda: proportion_test(1, 2, 3, 2),
        lambda: proportion_test(1, 2, 1, 2, test="barnard"),
        lambda: pairing_bounds(3, 1, 2),
        lambda: paired_proportion_difference(0, 0, 0, 0),
        lambda: paired_proportion_difference(1, -1, 0, 0),
    ],
)
def test_wrong_arguments_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
