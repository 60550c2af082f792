"""Hedges' g by hand, and what carries none."""

import math

import pytest

from tunescope.stats.effect_size import effect_size, paired_effect_size


def test_paired_g_is_the_mean_in_standard_deviations_times_j():
    # mean 2, sd 1, J(2) = Gamma(1) / (1 * Gamma(1/2)).
    estimate = paired_effect_size([1.0, 2.0, 3.0])
    assert estimate.value == pytest.approx(2.0 / math.sqrt(math.pi), rel=1e-14)
    assert estimate.ci_low < estimate.value < estimate.ci_high
    assert estimate.num_seeds == 3
    assert "noncentral t" in estimate.method


def test_unpaired_g_pools_the_standard_deviation():
    # Means 4 and 2, pooled sd 1, J(4) = Gamma(2) / (sqrt(2) Gamma(3/2)).
    estimate = effect_size([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    assert estimate.value == pytest.approx(2.0 / (math.sqrt(2.0) * math.sqrt(math.pi) / 2.0), rel=1e-14)
    assert estimate.ci_low < estimate.value < estimate.ci_high


@pytest.mark.parametrize(
    "differences,reason",
    [
        ([0.02], "one seed"),
        ([0.02, 0.03], "one degree of freedom"),
        ([0.1 + 0.2, 0.3, 0.3], "the same on every seed"),
        ([0.0, 0.0, 0.0], "the same on every seed"),
    ],
)
def test_without_spread_or_seeds_it_is_not_estimable(differences, reason):
    estimate = paired_effect_size(differences)
    assert not estimate.is_estimable
    assert estimate.ci_low is None
    assert reason in estimate.reason


def test_unpaired_arms_without_spread_or_seeds_are_not_estimable():
    assert "one seed per arm" in effect_size([0.8], [0.7]).reason
    assert "one degree of freedom" in effect_size([0.8, 0.9], [0.7]).reason
    assert "every seed of an arm scores the same" in effect_size([0.8, 0.8], [0.7, 0.7]).reason


def test_an_effect_too_large_to_invert_has_a_value_and_no_interval():
    estimate = paired_effect_size([1.0, 1.0001, 1.0002])
    assert estimate.value > 1000
    assert estimate.ci_low is None
    assert "too far out" in estimate.reason


def test_has_an_interval_where_scipys_noncentral_t_has_none():
    estimate = paired_effect_size([0.279, 0.312, 0.194])
    assert 0.0 < estimate.ci_low < estimate.value < estimate.ci_high


def test_bad_values_are_refused():
    for values in ([], [float("nan"), 1.0], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="paired_effect_size: differences"):
            paired_effect_size(values)
        with pytest.raises(ValueError, match="effect_size: b"):
            effect_size([1.0, 2.0], values)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        paired_effect_size([1.0, 2.0, 4.0], level=95)
