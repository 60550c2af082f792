"""Permutation tests over seeds: exact where all rearrangements can be listed, Monte Carlo where not.

Both are two-sided: twice the smaller of the one-sided p-values, at most 1, as `scipy.stats.permutation_test` does. Each
direction alone then has half the error rate, so "better" and "worse" are safe to say.

Equal values are interchangeable: a rearrangement is listed once for all its equals, with its weight. So 0/1 differences of
thousands of examples are tested exactly too (that test is McNemar's).

Letters: S seeds (units), m draws of a Monte Carlo test, b draws at least as extreme as the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tunescope.stats.checks import finite_vector
from tunescope.stats.estimate import TestResult

_TIE = 1e-12
"""Sums that differ by less than this share of the greatest sum possible are ties: rounding, not data."""
_SMALLEST = float(np.finfo(np.float64).tiny)
_CELLS_PER_CHUNK = 2_000_000


def sign_flip_test(
    differences: Sequence[float] | np.ndarray,
    *,
    seed: int | np.random.Generator = 0,
    max_exact: int = 2**16,
    num_draws: int = 99_999,
) -> TestResult:
    """Tests that paired differences are as likely positive as negative, without assuming a distribution.

    If A and B do equally well, each difference could as well have had the other sign. p is the share of the 2^S sign
    patterns whose mean is at least as far from 0 as the data's; from m random patterns it is (b + 1) / (m + 1) (Phipson and
    Smyth, 2010, doi:10.2202/1544-6115.1585). Assumes differences symmetric about 0 under the null hypothesis.

    Args:
        differences: (S,) A - B, one per seed.
        seed: Of the Monte Carlo draws; an exact test uses none.
        max_exact: Up to so many distinct sign patterns are listed in full.
        num_draws: m.

    Returns:
        p in (0, 1]; 1 where all differences are 0. `smallest_p` is 2 / 2^S, or 1 / (m + 1) if that is larger and the test
        is Monte Carlo: 1 for one seed, 0.25 for three.

    Raises:
        ValueError: If `differences` is empty, not one row or not finite, or `num_draws` < 1.

    Example:
        >>> sign_flip_test([0.02, 0.01, 0.03]).p_value
        0.25
    """
    differences = finite_vector("sign_flip_test", "differences", differences)
    if num_draws < 1:
        raise ValueError(f"sign_flip_test: num_draws must be 1 or more, got {num_draws}.")
    num_units = len(differences)
    smallest_p = max(min(1.0, math.ldexp(1.0, max(1 - num_units, -1022))), _SMALLEST)
    magnitudes, counts = np.unique(np.abs(differences[differences != 0.0]), return_counts=True)
    if magnitudes.size == 0:
        return TestResult(
            p_value=1.0, smallest_p=smallest_p, method="exact sign-flip permutation test", num_units=num_units
        )
    observed = abs(float(differences.sum()))
    tolerance = _TIE * float(np.abs(differences).sum())
    if math.prod(int(count) + 1 for count in counts) <= max_exact:
        sums, weights = np.zeros(1), np.ones(1)
        for magnitude, count in zip(magnitudes, counts, strict=True):
            flips = 2.0 * np.arange(count + 1) - count
            sums = np.add.outer(sums, magnitude * flips).ravel()
            weights = np.multiply.outer(weights, _binomial_weights(int(count))).ravel()
        one_sided = float(weights[sums >= observed - tolerance].sum() / weights.sum())
        return TestResult(
            p_value=max(min(1.0, 2.0 * one_sided), smallest_p),
            smallest_p=smallest_p,
            method="exact sign-flip permutation test",
            num_units=num_units,
        )
    generator = np.random.default_rng(seed)
    extreme = 0
    for rows in _chunks(num_draws, len(magnitudes)):
        flips = 2.0 * _heads(generator, counts, rows) - counts
        extreme += int(np.count_nonzero(np.abs(flips @ magnitudes) >= observed - tolerance))
    return TestResult(
        p_value=(extreme + 1) / (num_draws + 1),
        smallest_p=max(smallest_p, 1.0 / (num_draws + 1)),
        method=f"sign-flip permutation test, {num_draws} random draws",
        num_units=num_units,
    )


def label_permutation_test(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    seed: int | np.random.Generator = 0,
    max_exact: int = 2**16,
    num_draws: int = 99_999,
) -> TestResult:
    """Tests that unpaired scores of A and B come from one distribution, by their difference of means.

    p is twice the share of the C(S_a + S_b, S_a) ways to hand out the labels whose difference of means is at least as large,
    or at least as small, as the data's, whichever is less; Monte Carlo as in `sign_flip_test`.

    Args:
        a: (S_a,) scores of A.
        b: (S_b,) scores of B; other seeds, in any order.
        seed: Of the Monte Carlo draws; an exact test uses none.
        max_exact: Up to so many labellings are listed in full.
        num_draws: m.

    Returns:
        p in (0, 1]. `smallest_p` is 2 / C(S_a + S_b, S_a), at most 1: 0.1 for three seeds against three; 2 / (m + 1) if
        that is larger and the test is Monte Carlo.

    Raises:
        ValueError: If a or b is empty, not one row or not finite, or `num_draws` < 1.

    Example:
        >>> label_permutation_test([0.81, 0.82, 0.83], [0.70, 0.71, 0.72]).p_value
        0.1
    """
    a = finite_vector("label_permutation_test", "a", a)
    b = finite_vector("label_permutation_test", "b", b)
    if num_draws < 1:
        raise ValueError(f"label_permutation_test: num_draws must be 1 or more, got {num_draws}.")
    pooled = np.concatenate([a, b])
    pooled -= pooled.mean()
    num_units, size = len(pooled), len(a)
    smallest_p = max(2.0 / max(math.comb(num_units, size), 2), _SMALLEST) if num_units <= 1000 else _SMALLEST
    tolerance = _TIE * float(np.abs(pooled).sum())
    observed = float(pooled[:size].sum())
    exact = _subset_sums(pooled, size, max_exact)
    if exact is not None:
        sums, weights = exact
        total = float(weights.sum())
        greater = float(weights[sums >= observed - tolerance].sum()) / total
        less = float(weights[sums <= observed + tolerance].sum()) / total
        return TestResult(
            p_value=max(min(1.0, 2.0 * min(greater, less)), smallest_p),
            smallest_p=smallest_p,
            method="exact label permutation test",
            num_units=num_units,
        )
    generator = np.random.default_rng(seed)
    num_greater = num_less = 0
    for rows in _chunks(num_draws, num_units):
        shuffled = generator.permuted(np.broadcast_to(pooled, (rows, num_units)), axis=1)
        drawn = shuffled[:, :size].sum(axis=1)
        num_greater += int(np.count_nonzero(drawn >= observed - tolerance))
        num_less += int(np.count_nonzero(drawn <= observed + tolerance))
    return TestResult(
        p_value=min(1.0, 2.0 * (min(num_greater, num_less) + 1) / (num_draws + 1)),
        smallest_p=max(smallest_p, min(1.0, 2.0 / (num_draws + 1))),
        method=f"label permutation test, {num_draws} random draws",
        num_units=num_units,
    )


def _subset_sums(values: np.ndarray, size: int, max_exact: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Sums of all subsets of `size` of the values and their weights (equal values listed once); None if too many."""
    distinct, counts = np.unique(values, return_counts=True)
    # By subset size: (sums, weights). Distinct values come one after the other, so no list of index sets is needed.
    table: dict[int, tuple[np.ndarray, np.ndarray]] = {0: (np.zeros(1), np.ones(1))}
    left = len(values)
    for value, count in zip(distinct, counts, strict=True):
        left -= int(count)
        binomial = _binomial_weights(int(count))
        grown: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for chosen in range(max(0, size - left), size + 1):
            parts = [
                (table[chosen - taken][0] + taken * value, table[chosen - taken][1] * binomial[taken])
                for taken in range(min(int(count), chosen) + 1)
                if chosen - taken in table
            ]
            if parts:
                grown[chosen] = (np.concatenate([sums for sums, _ in parts]), np.concatenate([w for _, w in parts]))
        table = grown
        if sum(len(sums) for sums, _ in table.values()) > 4 * max_exact:
            return None
    sums, weights = table[size]
    # Very unequal groups of very many units: the weights run out of range, and random draws serve better.
    return (sums, weights) if len(sums) <= max_exact and weights.sum() > 1e-250 else None


def _binomial_weights(count: int) -> np.ndarray:
    """C(count, j) / 2^count for j = 0..count; exact to the last bit while C(count, j) fits a float's digits."""
    if count <= 1000:
        return np.array([math.ldexp(float(math.comb(count, taken)), -count) for taken in range(count + 1)])
    whole = math.lgamma(count + 1) - count * math.log(2.0)
    return np.array(
        [math.exp(whole - math.lgamma(taken + 1) - math.lgamma(count - taken + 1)) for taken in range(count + 1)]
    )


def _heads(generator: np.random.Generator, counts: np.ndarray, rows: int) -> np.ndarray:
    """(rows, values) how many of each value's equals keep their sign; bits where each value stands alone, which is faster."""
    if counts.max() > 1:
        return generator.binomial(counts, 0.5, size=(rows, len(counts)))
    packed = generator.integers(0, 256, size=(rows, (len(counts) + 7) // 8), dtype=np.uint8)
    return np.unpackbits(packed, axis=1, count=len(counts))


def _chunks(num_rows: int, width: int) -> list[int]:
    """Numbers of rows that sum to `num_rows`, each few enough to hold in memory at this width."""
    rows = max(1, _CELLS_PER_CHUNK // max(width, 1))
    full, rest = divmod(num_rows, rows)
    return [rows] * full + ([rest] if rest else [])
