"""Values of several seeds -> their mean, with Student's t interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from tunescope.stats.estimate import Estimate


def seed_mean(values: Sequence[float], *, level: float = 0.95) -> Estimate:
    """The mean over seeds, mean ± t(S - 1) sd / sqrt(S) with S seeds.

    Args:
        values: One per finished seed.
        level: Of the interval.

    Returns:
        Not estimable without values; without interval, and with the reason, where there is one.

    Example:
        >>> found = seed_mean([1.0, 2.0, 3.0])
        >>> found.value, round(found.ci_low, 2), round(found.ci_high, 2)
        (2.0, -0.48, 4.48)
    """
    num_seeds = len(values)
    if not values:
        return Estimate(value=None, level=level, num_seeds=0, reason="no seed has a value")
    mean = math.fsum(values) / num_seeds
    if num_seeds == 1:
        return Estimate(value=mean, level=level, num_seeds=1, reason="one seed: nothing shows the spread")
    variance = math.fsum((value - mean) ** 2 for value in values) / (num_seeds - 1)
    half = _t_quantile(0.5 + level / 2.0, num_seeds - 1) * math.sqrt(variance / num_seeds)
    return Estimate(
        value=mean, ci_low=mean - half, ci_high=mean + half, level=level, method="t over seeds", num_seeds=num_seeds
    )


@lru_cache(maxsize=256)
def _t_quantile(share: float, df: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(share, df))
