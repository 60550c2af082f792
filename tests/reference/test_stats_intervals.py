"""Intervals against independent sources: statsmodels' ANOVA, scipy's t tests and its BCa, and sums written out in loops.

Tolerance 1e-10: both sides compute the same formula in float64, in another order; the data are of size 1.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from tunescope.stats.bootstrap import bca
from tunescope.stats.components import score_of_means
from tunescope.stats.crossed import crossed_interval, crossed_mean, seed_interval, variance_components

TOLERANCE = 1e-10


def _scores(seed: int, num_seeds: int = 4, n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n)
    arms = [
        common + 0.8 * rng.normal(size=n) + 0.3 * rng.normal(size=(num_seeds, 1)) + rng.normal(size=(num_seeds, n))
        for _ in range(2)
    ]
    return arms[0], arms[1]


def _anova_mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    import pandas
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    num_seeds, n = values.shape
    table = pandas.DataFrame(
        {
            "y": values.ravel(),
            "seed": np.repeat(np.arange(num_seeds), n),
            "example": np.tile(np.arange(n), num_seeds),
        }
    )
    rows = anova_lm(ols("y ~ C(seed) + C(example)", data=table).fit())
    squares = rows["sum_sq"] / rows["df"]
    return float(squares["C(seed)"]), float(squares["C(example)"]), float(squares["Residual"])


def _df(A: float, df_A: float, B: float, df_B: float, noise: float) -> float:
    """The degrees of freedom as the module says them, by another root finder and another t."""
    satterthwaite = (A + B) ** 2 / (A**2 / df_A + noise)
    hajek = math.sqrt((A * stats.t.ppf(0.975, df_A) ** 2 + B * stats.t.ppf(0.975, df_B) ** 2) / (A + B))
    point = (stats.t.ppf(0.975, satterthwaite) + hajek) / 2
    return float(brentq(lambda df: stats.t.ppf(0.975, df) - point, 0.5, 1e7, xtol=1e-14, rtol=1e-14))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_paired_interval_is_that_of_statsmodels_anova(seed: int) -> None:
    a, b = _scores(seed)
    num_seeds, n = a.shape
    ms_seed, ms_example, ms_rest = _anova_mean_squares(a - b)
    A, T, R = ms_seed / a.size, ms_example / a.size, ms_rest / a.size
    assert T > R
    variance = A + T - R
    noise = T**2 / (n - 1) + R**2 / ((num_seeds - 1) * (n - 1))
    df = _df(A, num_seeds - 1, T - R, n - 1, noise)
    found = crossed_interval(a, b, paired_by_seed=True)
    assert found.standard_error == pytest.approx(math.sqrt(variance), abs=TOLERANCE)
    assert found.df == pytest.approx(df, rel=TOLERANCE)
    low, high = stats.t.interval(0.95, df, loc=(a - b).mean(), scale=math.sqrt(variance))
    assert found.estimate.ci_low == pytest.approx(low, abs=TOLERANCE)
    assert found.estimate.ci_high == pytest.approx(high, abs=TOLERANCE)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs((a - b).mean()) / math.sqrt(variance), df), abs=TOLERANCE)


def test_variance_components_are_those_of_statsmodels_anova() -> None:
    a, _ = _scores(3)
    num_seeds, n = a.shape
    ms_seed, ms_example, ms_rest = _anova_mean_squares(a)
    found = variance_components(a)
    assert found.seed == pytest.approx((ms_seed - ms_rest) / n, abs=TOLERANCE)
    assert found.example == pytest.approx((ms_example - ms_rest) / num_seeds, abs=TOLERANCE)
    assert found.rest == pytest.approx(ms_rest, abs=TOLERANCE)


def _loop_parts(y: list[list[float]]) -> tuple[float, float, float, list[float], list[float]]:
    """A, T and R of one arm by sums written out, and its means by seed and by example."""
    S, n = len(y), len(y[0])
    by_seed = [sum(row) / n for row in y]
    by_example = [sum(y[s][i] for s in range(S)) / S for i in range(n)]
    mean = sum(by_seed) / S
    A = sum((m - mean) ** 2 for m in by_seed) / (S - 1) / S
    T = sum((m - mean) ** 2 for m in by_example) / (n - 1) / n
    R = 0.0
    for s in range(S):
        for i in range(n):
            R += (y[s][i] - by_seed[s] - by_example[i] + mean) ** 2
    return A, T, R / ((S - 1) * (n - 1)) / (S * n), by_seed, by_example


@pytest.mark.parametrize("same_examples", [True, False])
def test_unpaired_interval_is_that_of_plain_loops(same_examples: bool) -> None:
    a, b = _scores(4)[0], _scores(4, num_seeds=6)[1]
    n = a.shape[1]
    A_a, T_a, R_a, seeds_a, examples_a = _loop_parts(a.tolist())
    A_b, T_b, R_b, seeds_b, examples_b = _loop_parts(b.tolist())
    A, R = A_a + A_b, R_a + R_b
    df_A = A**2 / (A_a**2 / 3 + A_b**2 / 5)
    noise_R_a, noise_R_b = R_a**2 / (3 * (n - 1)), R_b**2 / (5 * (n - 1))
    if same_examples:
        gaps = [x - y for x, y in zip(examples_a, examples_b, strict=True)]
        mean = sum(gaps) / n
        T = sum((gap - mean) ** 2 for gap in gaps) / (n - 1) / n
        B, df_B, noise = max(T - R, 0.0), n - 1.0, T**2 / (n - 1) + noise_R_a + noise_R_b
    else:
        B = max(T_a - R_a, 0.0) + max(T_b - R_b, 0.0)
        noise_T = (T_a**2 + T_b**2) / (n - 1)
        df_B, noise = (T_a + T_b) ** 2 / noise_T, noise_T + noise_R_a + noise_R_b
    assert B > 0
    df = _df(A, df_A, B, df_B, noise)
    found = crossed_interval(a, b, paired_by_seed=False, same_examples=same_examples)
    assert found.estimate.value == pytest.approx(sum(seeds_a) / 4 - sum(seeds_b) / 6, abs=TOLERANCE)
    assert found.standard_error == pytest.approx(math.sqrt(A + B), abs=TOLERANCE)
    assert found.df == pytest.approx(df, rel=TOLERANCE)


def test_paired_seeds_on_other_examples_are_that_of_plain_loops() -> None:
    a, b = _scores(5)[0], _scores(6, n=40)[1]
    _, T_a, R_a, seeds_a, _ = _loop_parts(a.tolist())
    _, T_b, R_b, seeds_b, _ = _loop_parts(b.tolist())
    gaps = [x - y for x, y in zip(seeds_a, seeds_b, strict=True)]
    A = sum((gap - sum(gaps) / 4) ** 2 for gap in gaps) / 3 / 4
    B = max(T_a - R_a, 0.0) + max(T_b - R_b, 0.0)
    found = crossed_interval(a, b, paired_by_seed=True, same_examples=False)
    assert found.standard_error == pytest.approx(math.sqrt(A + B), abs=TOLERANCE)


def test_one_seed_is_scipys_t_test_over_examples() -> None:
    a, b = (arm[:1] for arm in _scores(7))
    paired = stats.ttest_rel(a[0], b[0])
    found = crossed_interval(a, b, paired_by_seed=True)
    assert (found.p_value, found.df) == (pytest.approx(paired.pvalue, abs=TOLERANCE), pytest.approx(29, rel=TOLERANCE))
    interval = paired.confidence_interval(0.95)
    assert found.estimate.ci_low == pytest.approx(interval.low, abs=TOLERANCE)
    assert found.estimate.ci_high == pytest.approx(interval.high, abs=TOLERANCE)
    welch = stats.ttest_ind(a[0], b[0, :20], equal_var=False)
    found = crossed_interval(a, b[:, :20], paired_by_seed=True, same_examples=False)
    assert found.p_value == pytest.approx(welch.pvalue, abs=TOLERANCE)
    assert found.df == pytest.approx(welch.df, rel=TOLERANCE)
    alone = crossed_mean(a)
    low, high = stats.t.interval(0.95, 29, loc=a.mean(), scale=stats.sem(a[0]))
    assert (alone.estimate.ci_low, alone.estimate.ci_high) == pytest.approx((low, high), abs=TOLERANCE)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_seeds_alone_are_scipys_t_tests(level: float) -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=5), rng.normal(size=5)
    for found, scipys in (
        (seed_interval(a, b, paired=True, level=level), stats.ttest_rel(a, b)),
        (seed_interval(a, b[:3], paired=False, level=level), stats.ttest_ind(a, b[:3], equal_var=False)),
    ):
        assert found.p_value == pytest.approx(scipys.pvalue, abs=TOLERANCE)
        interval = scipys.confidence_interval(level)
        assert found.estimate.ci_low == pytest.approx(interval.low, abs=TOLERANCE)
        assert found.estimate.ci_high == pytest.approx(interval.high, abs=TOLERANCE)


def test_bca_is_scipys_given_the_same_resamples() -> None:
    x = np.random.default_rng(9).lognormal(size=40)
    scipys = stats.bootstrap((x,), np.mean, method="BCa", n_resamples=1999, rng=np.random.default_rng(3))
    found = bca(x[:, None], lambda means: means[..., 0], num_resamples=1999, seed=3)
    assert found.ci_low == pytest.approx(scipys.confidence_interval.low, abs=TOLERANCE)
    assert found.ci_high == pytest.approx(scipys.confidence_interval.high, abs=TOLERANCE)


def test_bca_of_a_correlation_is_scipys_given_the_same_resamples() -> None:
    rng = np.random.default_rng(10)
    x = rng.normal(size=35)
    y = x + rng.normal(size=35)
    indices = np.arange(35)

    def correlation(drawn: np.ndarray) -> float:
        return float(stats.pearsonr(x[drawn], y[drawn]).statistic)

    scipys = stats.bootstrap(
        (indices,), correlation, method="BCa", n_resamples=999, vectorized=False, rng=np.random.default_rng(4)
    )
    score = score_of_means("pearson")
    found = bca(score.components(x, y), lambda means: np.real(score.combine(means)), num_resamples=999, seed=4)
    assert found.ci_low == pytest.approx(scipys.confidence_interval.low, abs=TOLERANCE)
    assert found.ci_high == pytest.approx(scipys.confidence_interval.high, abs=TOLERANCE)
