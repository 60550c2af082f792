"""Bootstrap intervals: seeds and examples resampled crossed with one another, and BCa where there is one level only.

Pigeonhole bootstrap (Owen, 2007, doi:10.1214/07-AOAS122): draw S seeds and, independently, n examples with replacement; cell
(s, i) counts as often as its seed times its example. Given the data, its replicates of a mean difference have variance

    Var* = (S - 1)/S A + (n - 1)/n T + (S - 1)(n - 1)/(S n) R        (A, T, R as in `tunescope.stats.crossed`)

so at few seeds it counts too little of A, by (S - 1) / S, and the rest about three times; and its quantiles know no t. The
percentile interval is therefore stretched about the estimate, as Hesterberg (2015, doi:10.1080/00031305.2015.1089789)
stretches it for one sample, to the crossed model's variance and its t's width:

    [D + (q_low - D) f, D + (q_high - D) f],   f = t(df) SE / (z sd*)

It keeps the skew of the replicates, which a t interval has not.

Legend: S seeds, n examples, k components of a score, D the difference of mean scores, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tunescope.stats.checks import check_share
from tunescope.stats.components import ScoreOfMeans
from tunescope.stats.crossed import Crossed, crossed_interval
from tunescope.stats.estimate import Estimate

_CELLS_PER_CHUNK = 2_000_000
_LEAST_DEFINED = 0.99
"""Share of resamples in which the score must be defined."""


def hierarchical_bootstrap(
    a: np.ndarray,
    b: np.ndarray,
    score: ScoreOfMeans,
    *,
    paired_by_seed: bool,
    same_examples: bool = True,
    level: float = 0.95,
    num_resamples: int = 4999,
    seed: int | np.random.Generator = 0,
    crossed: Crossed | None = None,
) -> Estimate:
    """The mean difference A - B with the stretched percentile interval of the pigeonhole bootstrap.

    Args:
        a: (S_a, n_a, k) components of A.
        b: (S_b, n_b, k) components of B.
        score: What combines them.
        paired_by_seed: Row s of both is the same seed, and is drawn in both at once. Needs S_a = S_b.
        same_examples: Column i of both is the same example, and is drawn in both at once. Needs n_a = n_b.
        level: Coverage asked for.
        num_resamples: R, 100 or more.
        seed: Of the resamples.
        crossed: The crossed interval of the same data at the same level, if already at hand.

    Returns:
        Without interval, and with a reason, where the crossed model has none, or where the score is undefined in more than
        one resample of a hundred.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, the score is undefined for a seed, level is not within 0
            and 1, or there are fewer than 100 resamples.
    """
    check_share("hierarchical_bootstrap", "level", level)
    if num_resamples < 100:
        raise ValueError(f"hierarchical_bootstrap: num_resamples must be 100 or more, got {num_resamples}")
    a, b = _cells("a", a), _cells("b", b)
    if crossed is None:
        crossed = crossed_interval(
            score.influence(a),
            score.influence(b),
            paired_by_seed=paired_by_seed,
            same_examples=same_examples,
            level=level,
        )
    if crossed.standard_error is None:
        return crossed.estimate
    replicates = resampled_differences(
        a,
        b,
        score,
        paired_by_seed=paired_by_seed,
        same_examples=same_examples,
        num_resamples=num_resamples,
        rng=np.random.default_rng(seed),
    )
    return _stretched(crossed, replicates, level)


def resampled_differences(
    a: np.ndarray,
    b: np.ndarray,
    score: ScoreOfMeans,
    *,
    paired_by_seed: bool,
    same_examples: bool,
    num_resamples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(R,) differences of mean scores under the pigeonhole bootstrap; NaN where the score is undefined in a resample."""
    pieces = []
    rows = max(1, _CELLS_PER_CHUNK // max(a.shape[1], b.shape[1]))
    for start in range(0, num_resamples, rows):
        count = min(rows, num_resamples - start)
        examples_a = _weights(rng, count, a.shape[1])
        examples_b = examples_a if same_examples else _weights(rng, count, b.shape[1])
        seeds_a = _weights(rng, count, len(a))
        seeds_b = seeds_a if paired_by_seed else _weights(rng, count, len(b))
        pieces.append(_mean_score(a, score, seeds_a, examples_a) - _mean_score(b, score, seeds_b, examples_b))
    return np.concatenate(pieces)


def bca(
    units: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    level: float = 0.95,
    num_resamples: int = 4999,
    seed: int | np.random.Generator = 0,
) -> Estimate:
    """A statistic of the means over one kind of unit, with its bias-corrected and accelerated bootstrap interval.

    Efron (1987, doi:10.1080/01621459.1987.10478410). One level only: examples of one seed, or, where examples are unknown,
    8 seeds or more; with fewer it is too short and `seed_interval`'s t is honest. The same draws as
    `scipy.stats.bootstrap(method="BCa")` makes of the same seed.

    Args:
        units: (n, k) components of n units (for two arms, both arms' components of an example side by side), n >= 2.
        statistic: (..., k) means -> (...); NaN where undefined.
        level: Coverage asked for.
        num_resamples: R, 100 or more.
        seed: Of the resamples.

    Returns:
        Without interval, and with a reason, where the units do not vary, the statistic is undefined with a unit left out
        or in more than one resample of a hundred, or all resamples lie on one side of the estimate. `num_examples` is n.

    Raises:
        ValueError: If units are not (n, k) with n >= 2, a value is not finite, the statistic is undefined for all units
            together, level is not within 0 and 1, or there are fewer than 100 resamples.
    """
    from scipy.special import ndtr, ndtri

    units = np.asarray(units, dtype=np.float64)
    if units.ndim != 2 or len(units) < 2 or not np.isfinite(units).all():
        raise ValueError(f"bca: units must be (n, k), finite, with n of 2 or more, got shape {units.shape}")
    check_share("bca", "level", level)
    if num_resamples < 100:
        raise ValueError(f"bca: num_resamples must be 100 or more, got {num_resamples}")
    n, means = len(units), units.mean(axis=0)
    value = float(statistic(means))
    if not np.isfinite(value):
        raise ValueError("bca: the statistic is undefined for these units")

    def plain(reason: str) -> Estimate:
        return Estimate(value=value, level=level, num_examples=n, reason=reason)

    left_out = np.asarray(statistic((means * n - units) / (n - 1)), dtype=np.float64)
    if not np.isfinite(left_out).all():
        return plain("the score is undefined once a certain example is left out: too few of its kind")
    influence = left_out.mean() - left_out
    if np.abs(influence).max() <= 1e-13 * max(np.abs(units).max(), abs(value)):
        return plain(f"no variation over {n} units: nothing shows how far the value could have come out otherwise")
    rng = np.random.default_rng(seed)
    rows = max(1, _CELLS_PER_CHUNK // n)
    pieces = []
    for start in range(0, num_resamples, rows):
        weights = _weights(rng, min(rows, num_resamples - start), n)
        pieces.append(np.asarray(statistic(weights @ units / n), dtype=np.float64))
    replicates = np.concatenate(pieces)
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < _LEAST_DEFINED * num_resamples:
        return plain(_undefined(num_resamples - len(defined), num_resamples))
    tolerance = 1e-13 * max(float(np.abs(defined).max()), abs(value))  # sums in another order are no other value
    below = np.count_nonzero(defined < value - tolerance) + np.count_nonzero(defined <= value + tolerance)
    if below in (0, 2 * len(defined)):
        return plain("all resamples lie on one side of the estimate, so its bias cannot be corrected")
    bias = ndtri(below / (2.0 * len(defined)))
    acceleration = float((influence**3).sum()) / (6.0 * float((influence**2).sum()) ** 1.5)
    z = ndtri(np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])) + bias
    low, high = np.quantile(defined, ndtr(bias + z / (1.0 - acceleration * z)))
    return Estimate(
        value=value,
        ci_low=float(low),
        ci_high=float(high),
        level=level,
        method=f"BCa bootstrap, {num_resamples} resamples",
        num_examples=n,
    )


def _stretched(crossed: Crossed, replicates: np.ndarray, level: float) -> Estimate:
    from scipy.special import ndtri, stdtrit

    estimate, df, standard_error = crossed.estimate, crossed.df, crossed.standard_error
    assert estimate.value is not None
    assert df is not None
    assert standard_error is not None
    value = estimate.value
    defined = replicates[np.isfinite(replicates)]
    undefined = len(replicates) - len(defined)

    def plain(reason: str) -> Estimate:
        return Estimate(
            value=value,
            level=level,
            num_seeds=estimate.num_seeds,
            num_examples=estimate.num_examples,
            reason=reason,
        )

    if len(defined) < _LEAST_DEFINED * len(replicates):
        return plain(_undefined(undefined, len(replicates)))
    spread = float(defined.std(ddof=1))
    if spread <= 1e-13 * max(1.0, abs(value)):
        return plain("resamples do not differ")
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    stretch = float(stdtrit(df, tails[1]) / ndtri(tails[1])) * standard_error / spread
    low, high = value + (np.quantile(defined, tails) - value) * stretch
    return Estimate(
        value=value,
        ci_low=float(low),
        ci_high=float(high),
        level=level,
        method=f"hierarchical bootstrap over seeds x examples, {len(replicates)} resamples, stretched to t with df {df:.3g}",
        num_seeds=estimate.num_seeds,
        num_examples=estimate.num_examples,
    )


def _undefined(undefined: int, total: int) -> str:
    return f"the score is undefined (0/0) in {undefined} of {total} resamples: too few examples of a kind"


def _weights(rng: np.random.Generator, count: int, n: int) -> np.ndarray:
    """(count, n) how often each of n units is drawn in n draws with replacement."""
    drawn = rng.integers(0, n, size=(count, n))
    drawn += np.arange(count)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)


def _mean_score(cells: np.ndarray, score: ScoreOfMeans, seeds: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """(R,) mean over drawn seeds of the score of drawn examples."""
    num_seeds, n, k = cells.shape
    means = examples @ cells.transpose(1, 0, 2).reshape(n, num_seeds * k) / n
    scores = np.real(score.combine(means.reshape(len(examples), num_seeds, k)))
    drawn: np.ndarray = np.where(seeds > 0.0, seeds * scores, 0.0).sum(axis=1) / num_seeds
    return drawn


def _cells(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 3 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"hierarchical_bootstrap: {name} must be (seeds, examples, components), finite, got shape {values.shape}"
        )
    return values
