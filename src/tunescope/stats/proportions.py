"""Shares of right answers from counts alone: intervals, tests of two shares, and what pairing on the same examples could change.

Published results often give an accuracy and the size of its test set and nothing else. That is enough for an interval over
examples (Wilson), for the difference of two shares (Newcombe) and for a test that treats the two sets of answers as
independent (Fisher). It is not enough for McNemar's test, which needs to know on how many examples the two disagree; but
the counts bound that number from both sides, and with it the p-value.

x right answers of n examples, p = x/n; d = x_a - x_b; m examples on which exactly one of the two is right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunescope.stats.estimate import Estimate, TestResult

ProportionTest = Literal["fisher", "mid_p", "score"]

_TINY = float(np.finfo(np.float64).tiny)
"""What a p-value too small for a float is given as: it is never 0."""


@dataclass(frozen=True, kw_only=True)
class PairingBounds:
    """McNemar's exact p over every way in which two methods' right answers to the same examples could coincide."""

    least_p: float
    """Where the better one is right on all that the other is right on."""
    greatest_p: float
    """Where they are right on examples as different as the counts allow."""
    least_discordant: int
    """Examples on which exactly one of the two is right: at least so many."""
    most_discordant: int


def wilson_interval(num_correct: int, num_examples: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share.

    (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) (Wilson, 1927, doi:10.2307/2276774), the ends clipped to [0, 1].

    Args:
        num_correct: Right answers, 0 to num_examples.
        num_examples: Answers in all, 1 or more.
        level: Share of such intervals that hold the true share, in (0, 1).

    Raises:
        ValueError: If a count or the level is out of range.
    """
    _check_count("wilson_interval", num_correct, num_examples)
    z = _normal_quantile(level)
    share, n = num_correct / num_examples, num_examples
    centre = share + z * z / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((centre + sign * reach) / (1 + z * z / n) for sign in (-1, 1))
    return (0.0 if num_correct == 0 else max(low, 0.0)), (1.0 if num_correct == n else min(high, 1.0))


def proportion(num_correct: int, num_examples: int, *, level: float = 0.95) -> Estimate:
    """A share with Wilson's interval, which is over examples only: it knows nothing of seeds.

    Raises:
        ValueError: If a count or the level is out of range.
    """
    low, high = wilson_interval(num_correct, num_examples, level=level)
    return Estimate(
        value=num_correct / num_examples,
        ci_low=low,
        ci_high=high,
        level=level,
        method="Wilson score interval over examples",
        num_examples=num_examples,
    )


def proportion_difference(correct_a: int, num_a: int, correct_b: int, num_b: int, *, level: float = 0.95) -> Estimate:
    """The difference of two shares, a - b, with Newcombe's hybrid score interval (his method 10).

    With (l, u) Wilson's interval of each: from d - sqrt((p_a - l_a)² + (u_b - p_b)²) to d + sqrt((u_a - p_a)² + (p_b - l_b)²)
    (Newcombe, 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I). The two sets of answers are
    taken for independent: where both methods answered the same examples and tend to be right on the same ones, as they
    do, it is wider than it need be.

    Raises:
        ValueError: If a count or the level is out of range.
    """
    _check_count("proportion_difference", correct_a, num_a)
    _check_count("proportion_difference", correct_b, num_b)
    share_a, share_b = correct_a / num_a, correct_b / num_b
    low_a, high_a = wilson_interval(correct_a, num_a, level=level)
    low_b, high_b = wilson_interval(correct_b, num_b, level=level)
    difference = share_a - share_b
    return Estimate(
        value=difference,
        ci_low=difference - math.hypot(share_a - low_a, high_b - share_b),
        ci_high=difference + math.hypot(high_a - share_a, share_b - low_b),
        level=level,
        method="Newcombe's hybrid score interval (method 10) over examples, the two sets of answers taken for independent",
        num_examples=num_a if num_a == num_b else None,
    )


def paired_proportion_difference(
    num_both: int, num_only_a: int, num_only_b: int, num_neither: int, *, level: float = 0.95
) -> Estimate:
    """The difference of two shares on the same examples, a - b, with Newcombe's interval for paired data (his method 10).

    As `proportion_difference`, less 2 phi times the product of the two reaches under each root; phi is the correlation of the
    2x2 table, its numerator reduced by n/2 but not below 0 where positive (Newcombe, 1998,
    doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C).

    Args:
        num_both: Examples that both had right.
        num_only_a: Examples that only a had right.
        num_only_b: Examples that only b had right.
        num_neither: Examples that neither had right.
        level: Share of such intervals that hold the true difference, in (0, 1).

    Raises:
        ValueError: If a count is negative, there are no examples, or the level is out of range.
    """
    counts = (num_both, num_only_a, num_only_b, num_neither)
    n = sum(counts)
    if min(counts) < 0 or n < 1:
        raise ValueError(f"paired_proportion_difference: expected counts of 0 or more, not all 0, got {counts}.")
    right_a, right_b = num_both + num_only_a, num_both + num_only_b
    low_a, high_a = wilson_interval(right_a, n, level=level)
    low_b, high_b = wilson_interval(right_b, n, level=level)
    excess = float(num_both * num_neither - num_only_a * num_only_b)
    margins = math.sqrt(right_a * (n - right_a)) * math.sqrt(right_b * (n - right_b))
    phi = (max(excess - n / 2, 0.0) if excess > 0 else excess) / margins if margins else 0.0
    share_a, share_b = right_a / n, right_b / n

    def reach(of_a: float, of_b: float) -> float:
        return math.sqrt(max(of_a**2 - 2 * phi * of_a * of_b + of_b**2, 0.0))

    difference = (num_only_a - num_only_b) / n
    return Estimate(
        value=difference,
        ci_low=difference - reach(share_a - low_a, high_b - share_b),
        ci_high=difference + reach(high_a - share_a, share_b - low_b),
        level=level,
        method="Newcombe's interval for paired shares (method 10) over examples",
        num_examples=n,
    )


def proportion_test(
    correct_a: int, num_a: int, correct_b: int, num_b: int, *, test: ProportionTest = "fisher"
) -> TestResult:
    """Two-sided test that two independent shares are the same.

    `fisher` is the default because its size is at most the nominal one for every n, every true share and every level, and
    Holm's correction of thousands of comparisons asks for levels near 1e-5. Computed exactly (all tables, shares from
    0.002 to 0.5), the largest size as a multiple of the nominal level is

    | n in each | level | fisher | mid_p | score |
    |---|---|---|---|---|
    | 100 | 0.05 | 0.80 | 1.12 | 1.12 |
    | 277 | 0.05 | 0.86 | 1.03 | 1.05 |
    | 1319 | 0.05 | 0.93 | 1.02 | 1.04 |
    | 1319 | 0.05 / 1953 | 0.87 | 1.03 | 1.03 |

    so the price is small where n is in the hundreds (one more right answer in about a hundred at 1319 and 0.05 / 1953).
    Barnard's and Boschloo's tests have the right size too and lose less at small n, but search over the unknown share for
    every table. Two-sided: all tables with the same margins that are no more probable than the one found
    (as `scipy.stats.fisher_exact`); `mid_p` counts half of the equally probable ones; `score` is Pearson's chi-square
    without continuity correction.

    Args:
        correct_a: Right answers of a, 0 to num_a.
        num_a: Answers of a, 1 or more.
        correct_b: Right answers of b, 0 to num_b.
        num_b: Answers of b, 1 or more; may differ from num_a.
        test: Which of the three.

    Raises:
        ValueError: If a count is out of range, or the test is unknown.
    """
    _check_count("proportion_test", correct_a, num_a)
    _check_count("proportion_test", correct_b, num_b)
    if test not in _TESTS:
        raise ValueError(f"proportion_test: expected test to be one of {', '.join(_TESTS)}, got {test!r}.")
    function, name = _TESTS[test]
    return TestResult(
        p_value=min(1.0, max(function(correct_a, num_a, correct_b, num_b), _TINY)),
        smallest_p=min(1.0, max(function(num_a, num_a, 0, num_b), _TINY)),
        method=f"{name}, the two sets of answers taken for independent",
        num_units=num_a + num_b,
    )


def pairing_bounds(correct_a: int, correct_b: int, num_examples: int) -> PairingBounds:
    """The least and greatest exact McNemar p that the counts of two methods on the same n examples allow.

    The examples on which exactly one of the two is right, m, number at least |d| (the better one is right wherever the other
    is) and at most 2 min(x_a, n - x_b) - d for x_a >= x_b. Two-sided, p(m) = min(1, 2 P(Bin(m, 1/2) >= (m + |d|) / 2)),
    which grows with m (m and d have the same parity), so the ends of m are the ends of p.

    Args:
        correct_a: Right answers of a, 0 to num_examples.
        correct_b: Right answers of b to the same examples.
        num_examples: Examples, 1 or more.

    Raises:
        ValueError: If a count is out of range.

    Example:
        >>> bounds = pairing_bounds(60, 50, 100)
        >>> (bounds.least_discordant, bounds.most_discordant, round(bounds.least_p, 6), round(bounds.greatest_p, 3))
        (10, 90, 0.001953, 0.343)
    """
    _check_count("pairing_bounds", correct_a, num_examples)
    _check_count("pairing_bounds", correct_b, num_examples)
    more, fewer = max(correct_a, correct_b), min(correct_a, correct_b)
    difference = more - fewer
    most = 2 * min(more, num_examples - fewer) - difference
    return PairingBounds(
        least_p=_mcnemar_p(difference, difference),
        greatest_p=_mcnemar_p(difference, most),
        least_discordant=difference,
        most_discordant=most,
    )


def _mcnemar_p(difference: int, discordant: int) -> float:
    if difference == 0:
        return 1.0
    from scipy.stats import binom

    wins = (discordant + difference) // 2
    return min(1.0, max(2.0 * float(binom.sf(wins - 1, discordant, 0.5)), _TINY))


def _fisher(correct_a: int, num_a: int, correct_b: int, num_b: int) -> float:
    observed, probabilities = _hypergeometric(correct_a, num_a, correct_b, num_b)
    return float(probabilities[probabilities <= observed * _EQUAL].sum())


def _mid_p(correct_a: int, num_a: int, correct_b: int, num_b: int) -> float:
    observed, probabilities = _hypergeometric(correct_a, num_a, correct_b, num_b)
    is_equal = np.abs(probabilities - observed) <= (_EQUAL - 1) * observed
    return float(probabilities[(probabilities < observed) & ~is_equal].sum() + probabilities[is_equal].sum() / 2)


def _score(correct_a: int, num_a: int, correct_b: int, num_b: int) -> float:
    pooled = (correct_a + correct_b) / (num_a + num_b)
    if pooled in (0.0, 1.0):
        return 1.0
    error = math.sqrt(pooled * (1 - pooled) * (1 / num_a + 1 / num_b))
    return math.erfc(abs(correct_a / num_a - correct_b / num_b) / error / math.sqrt(2))


_EQUAL = 1 + 1e-7
"""Two tables count as equally probable up to rounding, as in `scipy.stats.fisher_exact`."""

_TESTS = {
    "fisher": (_fisher, "Fisher's exact test"),
    "mid_p": (_mid_p, "Fisher's test with mid-p"),
    "score": (_score, "score test"),
}


def _hypergeometric(correct_a: int, num_a: int, correct_b: int, num_b: int) -> tuple[float, np.ndarray]:
    """The probability of the table found, and of each with the same margins."""
    from scipy.special import gammaln

    right = correct_a + correct_b
    k = np.arange(max(0, right - num_b), min(num_a, right) + 1)

    def choose(n: int, of: np.ndarray | int) -> np.ndarray:
        chosen: np.ndarray = gammaln(n + 1) - gammaln(np.asarray(of) + 1) - gammaln(n - np.asarray(of) + 1)
        return chosen

    logarithms = choose(num_a, k) + choose(num_b, right - k)
    weights = np.exp(logarithms - logarithms.max())
    probabilities = weights / weights.sum()
    return float(probabilities[correct_a - k[0]]), probabilities


def _normal_quantile(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}.")
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _check_count(where: str, num_correct: int, num_examples: int) -> None:
    if num_examples < 1 or not 0 <= num_correct <= num_examples:
        raise ValueError(
            f"{where}: expected 0 <= right answers <= examples and 1 or more examples, got {num_correct} of {num_examples}."
        )
