"""How large a difference is, in units of the spread between seeds: Hedges' g with its exact interval.

Letters: n seeds, df degrees of freedom of the standard deviation, d the standardised mean difference, J(df) Hedges'
correction of its bias, delta the population's value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tunescope.stats.checks import check_share, finite_vector
from tunescope.stats.estimate import Estimate

_GREATEST_T = 300.0
"""Beyond it the quadrature of the noncentral t distribution would take too long, and no reader would use the number."""
_ROUNDING = 1e-12
"""A standard deviation below this share of the values is rounding, not spread."""


def paired_effect_size(differences: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Estimate:
    """Hedges' g of paired differences: their mean in units of their own standard deviation.

    d = mean / sd, g = J(n - 1) d with J(df) = Gamma(df / 2) / (sqrt(df / 2) Gamma((df - 1) / 2)) (Hedges, 1981,
    doi:10.3102/10769986006002107); g is unbiased for delta. The interval is delta's exact one for normal differences: the
    noncentralities, over sqrt(n), at which t = sqrt(n) d is the upper and the lower tail's quantile (Cumming and Finch, 2001,
    doi:10.1177/0013164401614002). It needs no J, and g need not be at its middle. This is d_z: other than the g of
    `effect_size`, as the spread that seeds share is taken out.

    Args:
        differences: (n,) A - B, one per seed.
        level: Of the interval.

    Returns:
        g, no unit. Not estimable with one seed or without spread. With two seeds J is 0: also not estimable.

    Raises:
        ValueError: If `differences` is empty, not one row or not finite, or `level` is not between 0 and 1.

    Example:
        >>> round(paired_effect_size([0.01, 0.03, 0.02, 0.02]).value, 4)
        1.7725
    """
    differences = finite_vector("paired_effect_size", "differences", differences)
    check_share("paired_effect_size", "level", level)
    num_seeds = len(differences)
    if num_seeds < 2:
        return _not_estimable("one seed shows no spread", level, num_seeds)
    spread = float(differences.std(ddof=1))
    if spread <= _ROUNDING * float(np.abs(differences).max()):
        return _not_estimable("the difference is the same on every seed: no spread to measure it in", level, num_seeds)
    return _hedges_g(
        float(differences.mean()) / spread,
        df=num_seeds - 1,
        root_size=math.sqrt(num_seeds),
        level=level,
        num_seeds=num_seeds,
        of="the paired differences",
    )


def effect_size(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Estimate:
    """Hedges' g of unpaired scores: difference of means in units of the pooled standard deviation.

    d = (mean(a) - mean(b)) / s, s^2 pooled over n_a + n_b - 2 degrees of freedom, g = J(n_a + n_b - 2) d; interval as in
    `paired_effect_size`, with sqrt(n_a n_b / (n_a + n_b)) for sqrt(n). Assumes equal variances.

    Args:
        a: (n_a,) scores of A, one per seed.
        b: (n_b,) scores of B.
        level: Of the interval.

    Returns:
        g, no unit. Not estimable with fewer than four seeds in all (two degrees of freedom are needed), or without spread.

    Raises:
        ValueError: If a or b is empty, not one row or not finite, or `level` is not between 0 and 1.

    Example:
        >>> round(effect_size([3.0, 4.0, 5.0], [1.0, 2.0, 3.0]).value, 4)
        1.5958
    """
    a, b = finite_vector("effect_size", "a", a), finite_vector("effect_size", "b", b)
    check_share("effect_size", "level", level)
    num_seeds, df = min(len(a), len(b)), len(a) + len(b) - 2
    if df < 1:
        return _not_estimable("one seed per arm shows no spread", level, num_seeds)
    spread = math.sqrt(float(((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / df)
    if spread <= _ROUNDING * max(float(np.abs(a).max()), float(np.abs(b).max())):
        return _not_estimable("every seed of an arm scores the same: no spread to measure in", level, num_seeds)
    return _hedges_g(
        float(a.mean() - b.mean()) / spread,
        df=df,
        root_size=math.sqrt(len(a) * len(b) / (len(a) + len(b))),
        level=level,
        num_seeds=num_seeds,
        of="the pooled scores",
    )


def _hedges_g(d: float, *, df: int, root_size: float, level: float, num_seeds: int, of: str) -> Estimate:
    """g and its interval from d, where t = root_size * d has df degrees of freedom."""
    if df < 2:
        return _not_estimable(
            "one degree of freedom leaves Hedges' g undefined (its correction is 0); one more seed is needed",
            level,
            num_seeds,
        )
    correction = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
    t = root_size * d
    if abs(t) > _GREATEST_T:
        return Estimate(
            value=correction * d,
            level=level,
            method=f"Hedges' g of {of}",
            num_seeds=num_seeds,
            reason=f"t = {t:.0f} is too far out for the noncentral t distribution to be inverted",
        )
    tail = (1.0 - level) / 2.0
    return Estimate(
        value=correction * d,
        ci_low=_noncentrality(t, df, 1.0 - tail) / root_size,
        ci_high=_noncentrality(t, df, tail) / root_size,
        level=level,
        method=f"Hedges' g of {of}, noncentral t interval",
        num_seeds=num_seeds,
    )


def _noncentrality(t: float, df: int, share_below: float) -> float:
    """The noncentrality at which a noncentral t falls below t with the given probability.

    By the distribution's definition, P(T <= t) = E[Phi(t s - noncentrality)] over s = sqrt(chi^2_df / df), by Gauss-Legendre
    quadrature: `scipy.stats.nct.cdf` gives NaN for some negative noncentralities (scipy 1.17).
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri, gammaln, ndtr

    end = math.sqrt(float(chdtri(df, 1e-17)) / df)
    # A panel is never wider than two standard deviations of the normal that is integrated: twenty nodes are plenty.
    num_panels = 32 + math.ceil(abs(t) * end / 2.0)
    nodes, node_weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0.0, end, num_panels + 1)
    half = end / num_panels / 2.0
    s = (edges[:-1, None] + half * (nodes + 1.0)).ravel()
    log_density = (
        math.log(2.0) + df / 2 * math.log(df / 2) - float(gammaln(df / 2)) + (df - 1) * np.log(s) - df * s * s / 2
    )
    weights = np.exp(log_density) * np.tile(half * node_weights, num_panels)

    def excess(noncentrality: float) -> float:
        return float(weights @ ndtr(t * s - noncentrality)) - share_below

    # Falls in the noncentrality, which lies within a few of its own standard errors, sqrt(1 + t^2 / (2 df)), of t.
    step = 4.0 * math.sqrt(1.0 + t * t / (2.0 * df))
    low, high = t - step, t + step
    while excess(low) < 0.0:
        low -= step
    while excess(high) > 0.0:
        high += step
    return float(brentq(excess, low, high, xtol=1e-12, rtol=1e-13))


def _not_estimable(reason: str, level: float, num_seeds: int) -> Estimate:
    return Estimate(value=None, level=level, method="Hedges' g", num_seeds=num_seeds, reason=reason)
