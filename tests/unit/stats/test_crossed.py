"""The crossed model: designs, degenerate data, coverage; its numbers are checked in tests/reference/test_stats_intervals.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tunescope.stats.crossed import crossed_interval, crossed_mean, effective_df, seed_interval, variance_components


def _arms(seed: int, num_seeds: int = 3, n: int = 50) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    common = rng.random(n)
    return tuple((rng.random((num_seeds, n)) + common < share).astype(float) for share in (1.3, 1.1))  # type: ignore[return-value]


def test_parts_add_up_to_the_squared_standard_error() -> None:
    found = crossed_interval(*_arms(0), paired_by_seed=True)
    assert found.parts is not None
    assert found.standard_error is not None
    assert found.parts.seeds + found.parts.examples == pytest.approx(found.standard_error**2, rel=1e-12)
    assert found.parts.seeds_df == 2
    assert (found.estimate.num_seeds, found.estimate.num_examples) == (3, 50)


def test_p_value_is_below_alpha_exactly_where_the_interval_leaves_zero_out() -> None:
    for seed in range(30):
        found = crossed_interval(*_arms(seed, 5, 80), paired_by_seed=True)
        assert found.p_value is not None
        assert found.estimate.ci_low is not None
        assert found.estimate.ci_high is not None
        assert (found.p_value < 0.05) == (found.estimate.ci_low > 0 or found.estimate.ci_high < 0)


def test_df_is_the_textbooks_where_one_part_is_alone_and_lies_between_otherwise() -> None:
    assert effective_df(1.0, 2.0, 0.0, 100.0) == 2.0
    assert effective_df(0.0, 1.0, 3.0, 100.0) == 100.0
    shares = np.linspace(0.05, 0.95, 10)
    df = effective_df(shares, 2.0, 1.0 - shares, 100.0)
    assert (np.diff(df) < 0).all()
    assert df.min() > 2.0
    assert df.max() < 102.0


def test_df_has_the_mean_of_both_points_for_its_97_5_percent_point() -> None:
    A, B, df_A, df_B = 2.0, 1.0, 2, 276
    satterthwaite = stats.t.ppf(0.975, (A + B) ** 2 / (A**2 / df_A + B**2 / df_B))
    hajek = np.sqrt((A * stats.t.ppf(0.975, df_A) ** 2 + B * stats.t.ppf(0.975, df_B) ** 2) / (A + B))
    found = stats.t.ppf(0.975, effective_df(A, df_A, B, df_B))
    assert found == pytest.approx((satterthwaite + hajek) / 2, rel=1e-10)


@pytest.mark.parametrize("num_seeds, seed_sd", [(3, 0.0), (3, 0.1), (3, 0.5), (5, 0.1), (10, 0.1)])
def test_95_percent_intervals_cover_93_to_97_percent(num_seeds: int, seed_sd: float) -> None:
    rng = np.random.default_rng(num_seeds + int(100 * seed_sd))
    n, runs, covered = 100, 400, 0
    for _ in range(runs):
        d = 0.5 * rng.normal(size=n) + seed_sd * rng.normal(size=(num_seeds, 1)) + rng.normal(size=(num_seeds, n))
        found = crossed_interval(d, np.zeros_like(d), paired_by_seed=True).estimate
        assert found.ci_low is not None
        assert found.ci_high is not None
        covered += found.ci_low <= 0.0 <= found.ci_high
    assert 0.91 < covered / runs < 0.99  # three standard errors of 400 runs beyond 0.943 to 0.967


def test_methods_say_what_was_paired() -> None:
    a, b = _arms(1)
    assert "seeds paired, examples paired" in crossed_interval(a, b, paired_by_seed=True).estimate.method
    assert "seeds not paired" in crossed_interval(a, b[:2], paired_by_seed=False).estimate.method
    apart = crossed_interval(a, b[:, :40], paired_by_seed=True, same_examples=False)
    assert "different examples" in apart.estimate.method
    assert apart.estimate.num_examples == 40


def test_one_seed_says_that_it_speaks_of_examples_only() -> None:
    a, b = _arms(2)
    assert "one seed per arm: over examples only" in crossed_interval(a[:1], b[:1], paired_by_seed=True).estimate.method
    lone = crossed_interval(a[:1], b, paired_by_seed=False)
    assert "A has one seed, taken as it is" in lone.estimate.method
    assert lone.parts is not None
    assert lone.parts.seeds_df == 2
    assert "one seed: over examples only" in crossed_mean(a[:1]).estimate.method


def test_no_variation_gives_the_value_and_a_reason_and_no_interval() -> None:
    found = crossed_interval(np.full((3, 9), 0.1), np.full((3, 9), 0.3), paired_by_seed=True)
    assert found.estimate.value == pytest.approx(-0.2)
    assert found.estimate.ci_low is None
    assert found.p_value is None
    assert found.estimate.reason.startswith("no variation over 3 seeds and 9 examples")


def test_means_that_agree_by_chance_are_not_taken_for_certainty() -> None:
    d = np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = crossed_interval(d, np.zeros((2, 2)), paired_by_seed=True)
    assert found.standard_error == pytest.approx(1.0)
    assert found.p_value == 1.0


def test_seeds_alone_need_two() -> None:
    found = seed_interval(np.array([0.8]), np.array([0.7]), paired=True)
    assert found.estimate.value == pytest.approx(0.1)
    assert found.standard_error is None
    assert "one seed and no scores of single examples" in found.estimate.reason
    assert seed_interval(np.array([0.8]), np.array([0.7, 0.6]), paired=False).standard_error is None


def test_variance_components_are_unbiased() -> None:
    rng = np.random.default_rng(3)
    drawn = [
        variance_components(0.5 * rng.normal(size=(6, 1)) + 2.0 * rng.normal(size=(1, 40)) + rng.normal(size=(6, 40)))
        for _ in range(800)
    ]
    assert np.mean([v.seed for v in drawn]) == pytest.approx(0.25, rel=0.1)
    assert np.mean([v.example for v in drawn]) == pytest.approx(4.0, rel=0.05)
    assert np.mean([v.rest for v in drawn]) == pytest.approx(1.0, rel=0.02)


def test_wrong_arguments_are_refused() -> None:
    a, b = _arms(4)
    with pytest.raises(ValueError, match="as many rows in both arms, got 3 and 2"):
        crossed_interval(a, b[:2], paired_by_seed=True)
    with pytest.raises(ValueError, match="same examples in the same order, got 50 and 49"):
        crossed_interval(a, b[:, 1:], paired_by_seed=True)
    with pytest.raises(ValueError, match=r"a must be \(seeds, examples\), both 1 or more, got shape \(50,\)"):
        crossed_interval(a[0], b, paired_by_seed=True)
    with pytest.raises(ValueError, match="b must be finite, got nan"):
        crossed_interval(a, np.where(b > 0, np.nan, b), paired_by_seed=True)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        crossed_interval(a, b, paired_by_seed=True, level=95)
    with pytest.raises(ValueError, match="variances must be 0 or above, and not both 0"):
        effective_df(0.0, 2.0, 0.0, 100.0)
    with pytest.raises(ValueError, match="2 seeds and 2 examples"):
        variance_components(a[:1])
    with pytest.raises(ValueError, match="as many scores in both arms, got 3 and 2"):
        seed_interval(np.zeros(3), np.zeros(2), paired=True)
    with pytest.raises(ValueError, match="b must be a row of finite scores"):
        seed_interval(np.zeros(3), np.array([]), paired=False)
