"""Shares of right answers per seed, the answers themselves unknown: what the choice of examples adds, at most.

Legend: A and B two arms with mean shares p_a and p_b of n_a and n_b examples, S seeds each. Of the crossed model's variance

    Var(A - B) = (between seeds) + (what the choice of examples adds)          (`tunescope.stats.crossed`)

scores per seed show the first part alone. The second depends on which examples each method got right, and is at most

    p_a (1 - p_a) / n_a + p_b (1 - p_b) / n_b

where the answers of A and B to one example do not disagree more often than chance: the binomial variance of independent
answers. It is an upper bound, so an interval from it is too wide rather than too narrow. p is taken as (x + 1) / (n + 2), and
n + 2 for n (Agresti & Caffo, 2000, doi:10.1080/00031305.2000.10474560), so that shares of 0 and 1 have a variance too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tunescope.stats.crossed import Crossed, Parts, effective_df, seed_interval


def share_interval(
    a: np.ndarray, b: np.ndarray, *, num_examples: tuple[int, int], paired: bool, level: float = 0.95
) -> Crossed:
    """The mean difference A - B of shares with a t interval over seeds and, at most, over examples.

    Args:
        a: (S_a,) shares in [0, 1] of A by seed, 2 or more.
        b: (S_b,) shares of B; for `paired`, of the same seeds in the same order.
        num_examples: What they are shares of, in A and in B, 1 or more.
        paired: Whether seeds are paired.
        level: Coverage asked for, at least.

    Raises:
        ValueError: If an arm is no row of 2 shares or more, a number of examples is below 1, or paired arms differ in length.
    """
    from scipy.special import stdtr, stdtrit

    over_seeds = seed_interval(a, b, paired=paired, level=level)
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    for name, shares in (("a", a), ("b", b)):
        if len(shares) < 2 or shares.min() < 0.0 or shares.max() > 1.0:
            raise ValueError(f"share_interval: {name} must be 2 shares or more between 0 and 1, got {shares}")
    if min(num_examples) < 1:
        raise ValueError(f"share_interval: num_examples must be 1 or more, got {num_examples}")
    value = over_seeds.estimate.value
    assert value is not None
    seeds = 0.0 if over_seeds.standard_error is None else over_seeds.standard_error**2
    seeds_df = 1.0 if over_seeds.df is None else over_seeds.df
    examples = _binomial(float(a.mean()), num_examples[0]) + _binomial(float(b.mean()), num_examples[1])
    df = float(effective_df(seeds, seeds_df, examples, max(sum(num_examples) - 2, 1)))
    error = math.sqrt(seeds + examples)
    half = float(stdtrit(df, (1.0 + level) / 2.0)) * error
    estimate = replace(
        over_seeds.estimate,
        ci_low=value - half,
        ci_high=value + half,
        method=f"t over seeds, with the binomial variance of examples, df {df:.3g}",
        num_examples=min(num_examples),
        reason="",
    )
    return Crossed(
        estimate=estimate,
        standard_error=error,
        df=df,
        p_value=float(2.0 * stdtr(df, -abs(value) / error)),
        parts=Parts(seeds=seeds, examples=examples, rest=0.0, seeds_df=over_seeds.df),
    )


def _binomial(share: float, num_examples: int) -> float:
    smoothed = (share * num_examples + 1.0) / (num_examples + 2.0)
    return smoothed * (1.0 - smoothed) / (num_examples + 2.0)
