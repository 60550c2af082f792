"""The probability that A scores higher than B on a new seed.

Letters: theta = P(A > B) + P(A = B) / 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tunescope.stats.checks import check_share, finite_vector
from tunescope.stats.estimate import Estimate

_TIE = 1e-12
"""Scores closer than this share of the greatest are equal: rounding, not data."""


def paired_probability_better(differences: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Estimate:
    """The share of seeds on which A beats B, a tie counting half, with Clopper and Pearson's exact interval.

    With ties the interval is the widest of those that count each tie as a win or as a loss, so it holds theta with at least
    its level (Clopper and Pearson, 1934, doi:10.1093/biomet/26.4.404).

    Args:
        differences: (S,) A - B, one per seed, higher being better. 0 is a tie.
        level: Of the interval.

    Returns:
        theta in [0, 1].

    Raises:
        ValueError: If `differences` is empty, not one row or not finite, or `level` is not between 0 and 1.

    Example:
        >>> estimate = paired_probability_better([0.02, 0.01, 0.03])
        >>> estimate.value, round(estimate.ci_low, 4), estimate.ci_high
        (1.0, 0.2924, 1.0)
    """
    differences = finite_vector("paired_probability_better", "differences", differences)
    check_share("paired_probability_better", "level", level)
    from scipy.special import betaincinv

    num_seeds = len(differences)
    wins, ties = int((differences > 0.0).sum()), int((differences == 0.0).sum())
    tail = (1.0 - level) / 2.0
    not_lost = wins + ties
    low = float(betaincinv(wins, num_seeds - wins + 1, tail)) if wins else 0.0
    high = float(betaincinv(not_lost + 1, num_seeds - not_lost, 1.0 - tail)) if not_lost < num_seeds else 1.0
    return Estimate(
        value=(wins + ties / 2) / num_seeds,
        ci_low=low,
        ci_high=high,
        level=level,
        method="share of seeds won, Clopper-Pearson interval" + (" widened for ties" if ties else ""),
        num_seeds=num_seeds,
    )


def probability_better(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, *, level: float = 0.95
) -> Estimate:
    """The share of pairs (a seed of A, a seed of B) in which A beats B, ties half: Mann-Whitney's U / (S_a S_b).

    Interval: the theta with |theta - estimate| <= z sqrt(V(theta)), V(theta) = theta (1 - theta) (1 + N (1 - theta) /
    (2 - theta) + N theta / (1 + theta)) / (S_a S_b), N = (S_a + S_b) / 2 - 1 (Newcombe, 2006, method 5,
    doi:10.1002/sim.2324). The estimate is Vargha and Delaney's A.

    Args:
        a: (S_a,) scores of A, higher being better.
        b: (S_b,) scores of B.
        level: Of the interval.

    Returns:
        theta in [0, 1].

    Raises:
        ValueError: If a or b is empty, not one row or not finite, or `level` is not between 0 and 1.

    Example:
        >>> probability_better([3.0, 4.0], [1.0, 3.0]).value
        0.875
    """
    a, b = finite_vector("probability_better", "a", a), finite_vector("probability_better", "b", b)
    check_share("probability_better", "level", level)
    gaps = np.subtract.outer(a, b)
    tolerance = _TIE * max(float(np.abs(a).max()), float(np.abs(b).max()))
    pairs = gaps.size
    value = float((gaps > tolerance).sum() + 0.5 * (np.abs(gaps) <= tolerance).sum()) / pairs
    from scipy.special import ndtri

    z_squared = float(ndtri(1.0 - (1.0 - level) / 2.0)) ** 2
    weight = (len(a) + len(b)) / 2 - 1

    def excess(theta: float) -> float:
        variance = theta * (1.0 - theta) * (1.0 + weight * ((1.0 - theta) / (2.0 - theta) + theta / (1.0 + theta)))
        return float((theta - value) ** 2 - z_squared * variance / pairs)

    return Estimate(
        value=value,
        ci_low=_root(excess, value, 0.0),
        ci_high=_root(excess, value, 1.0),
        level=level,
        method="share of pairs of seeds won, Newcombe's interval (method 5)",
        num_seeds=min(len(a), len(b)),
    )


def _root(excess: Callable[[float], float], inside: float, end: float) -> float:
    """Where `excess` turns from negative near `inside` to positive near `end`; `end` itself if the two coincide."""
    if inside == end:
        return end
    from scipy.optimize import brentq

    # At inside = 0 or 1 the variance vanishes there, and so does `excess`: the root sought is the other one.
    start = inside
    if excess(start) >= 0.0:
        start = math.copysign(1e-9, end - inside) + inside
    return float(brentq(excess, start, end, xtol=1e-14, rtol=1e-14))
