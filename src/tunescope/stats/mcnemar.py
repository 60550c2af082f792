"""McNemar's exact test: two models that answered the same examples, each right or wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunescope.stats.checks import finite_vector
from tunescope.stats.estimate import TestResult


@dataclass(frozen=True, kw_only=True)
class McNemar:
    """The 2x2 table of who was right, and the test of its two unlike cells."""

    num_both: int
    """Examples that both had right."""
    num_only_a: int
    num_only_b: int
    num_neither: int
    test: TestResult
    """Its units are the examples on which A and B differ."""


def mcnemar(correct_a: Sequence[bool] | np.ndarray, correct_b: Sequence[bool] | np.ndarray) -> McNemar:
    """Tests that A and B are equally often right, from the examples where only one of them was.

    Of the num_only_a + num_only_b examples each goes to A with probability 1/2 under the null hypothesis: two-sided exact
    binomial p = min(1, 2 P(X <= min(num_only_a, num_only_b))) (McNemar, 1947, doi:10.1007/BF02295996). It speaks of these
    two trained models on new examples, not of the methods on new seeds.

    Args:
        correct_a: (n,) 0 or 1, A's answer to each example.
        correct_b: (n,) the same for B, same examples in the same order.

    Returns:
        The counts and the test; p is 1 where A and B differ on no example. `smallest_p` is 2 / 2^(number they differ on).

    Raises:
        ValueError: If the lengths differ, there are no examples, or an entry is neither 0 nor 1.

    Example:
        >>> mcnemar([1, 1, 1, 1, 0], [0, 0, 0, 1, 0]).test.p_value
        0.25
    """
    a = finite_vector("mcnemar", "correct_a", correct_a)
    b = finite_vector("mcnemar", "correct_b", correct_b)
    if len(a) != len(b):
        raise ValueError(f"mcnemar: A and B must have answered the same examples, got {len(a)} and {len(b)}.")
    if not (np.isin(a, (0.0, 1.0)).all() and np.isin(b, (0.0, 1.0)).all()):
        raise ValueError("mcnemar: answers must be 0 (wrong) or 1 (right); a graded score has no 2x2 table.")
    from scipy.special import bdtr

    only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    both = int(((a == 1) & (b == 1)).sum())
    discordant = only_a + only_b
    smallest_p = max(min(1.0, math.ldexp(1.0, max(1 - discordant, -1022))), float(np.finfo(np.float64).tiny))
    p_value = min(1.0, 2.0 * float(bdtr(min(only_a, only_b), discordant, 0.5))) if discordant else 1.0
    return McNemar(
        num_both=both,
        num_only_a=only_a,
        num_only_b=only_b,
        num_neither=len(a) - both - discordant,
        test=TestResult(
            p_value=max(p_value, smallest_p),
            smallest_p=smallest_p,
            method="McNemar's exact test",
            num_units=discordant,
        ),
    )
