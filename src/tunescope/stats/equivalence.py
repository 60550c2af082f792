"""Tests of what a study's margins claim: equivalent within a margin, not worse by more than one, lower by a share.

All are one-sided t tests of an estimate against a bound, so any estimate with a standard error and degrees of freedom will
do: that of paired seeds, of unpaired ones, or of seeds crossed with examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunescope.stats.checks import check_share, finite_vector

_ROUNDING = 1e-12
"""A spread below this share of what it is the spread of is rounding."""


@dataclass(frozen=True, kw_only=True)
class MarginTest:
    """A one-sided claim about a difference or a ratio, and the interval that says the same."""

    p_value: float | None
    """Of the claim's contrary; the claim holds at alpha where p < alpha. None where not estimable."""
    estimate: float | None
    """The difference, or the ratio, that is claimed about."""
    ci_low: float | None = None
    ci_high: float | None = None
    level: float
    """1 - 2 alpha: p < alpha exactly where this interval lies wholly inside the claim."""
    claim: str
    """In words: "|A - B| < 0.03"."""
    method: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class LogRatio:
    """The mean of log A - log B over seeds; None where not estimable, and `reason` says why."""

    estimate: float | None
    standard_error: float | None
    df: float | None
    reason: str = ""


def equivalence_test(
    estimate: float, standard_error: float, df: float, *, margin: float, alpha: float = 0.05
) -> MarginTest:
    """Two one-sided tests that a difference lies within -margin and margin (TOST; Schuirmann, 1987, doi:10.1007/BF01068419).

    p = max(P(T_df >= (estimate + margin) / se), P(T_df <= (estimate - margin) / se)).

    Args:
        estimate: A - B.
        standard_error: Of `estimate`, same unit, 0 or above.
        df: Degrees of freedom of the standard error, above 0; math.inf for a known one.
        margin: Above 0, same unit; differences smaller than it do not matter.
        alpha: Of the test; the interval has level 1 - 2 alpha.

    Returns:
        p below alpha: equivalent. Not estimable where the standard error is 0.

    Raises:
        ValueError: If an argument is out of its range or not a number.

    Example:
        >>> equivalence_test(0.002, 0.005, 4, margin=0.03).p_value < 0.05
        True
    """
    _check("equivalence_test", estimate, standard_error, df, alpha)
    _check_margin("equivalence_test", margin)
    return _margin_test(
        estimate,
        standard_error,
        df,
        low=-margin,
        high=margin,
        alpha=alpha,
        claim=f"|A - B| < {margin:g}",
        method="two one-sided t tests",
    )


def non_inferiority_test(
    estimate: float, standard_error: float, df: float, *, margin: float, alpha: float = 0.05
) -> MarginTest:
    """One-sided t test that A is not worse than B by `margin` or more: A - B > -margin, higher being better.

    p = P(T_df >= (estimate + margin) / se). Arguments, returns and errors as in `equivalence_test`.
    """
    _check("non_inferiority_test", estimate, standard_error, df, alpha)
    _check_margin("non_inferiority_test", margin)
    return _margin_test(
        estimate,
        standard_error,
        df,
        low=-margin,
        high=math.inf,
        alpha=alpha,
        claim=f"A - B > -{margin:g}",
        method="one-sided t test",
    )


def bound_test(
    estimate: float,
    standard_error: float,
    df: float,
    *,
    bound: float,
    side: Literal["below", "above"],
    alpha: float = 0.05,
) -> MarginTest:
    """One-sided t test that a difference lies below, or above, a bound: "at least 3 points less" is below -0.03.

    Arguments, returns and errors as in `equivalence_test`; `bound` is any finite number.
    """
    _check("bound_test", estimate, standard_error, df, alpha)
    if not math.isfinite(bound):
        raise ValueError(f"bound_test: bound must be a finite number, got {bound}.")
    if side not in ("below", "above"):
        raise ValueError(f"bound_test: side must be 'below' or 'above', got {side!r}.")
    return _margin_test(
        estimate,
        standard_error,
        df,
        low=-math.inf if side == "below" else bound,
        high=bound if side == "below" else math.inf,
        alpha=alpha,
        claim=f"A - B {'<' if side == 'below' else '>'} {bound:g}",
        method="one-sided t test",
    )


def log_ratio(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, *, paired: bool) -> LogRatio:
    """The mean of log A - log B over seeds, its standard error and degrees of freedom (Welch's where unpaired).

    Args:
        a: (S_a,) positive scores of A, one per seed.
        b: (S_b,) those of B; the same seeds in the same order where `paired`.
        paired: Whether a[s] and b[s] share a seed.

    Returns:
        Not estimable where a score is 0 or below, or fewer than two seeds stand on a side.

    Raises:
        ValueError: If a or b is empty or not finite, or lengths differ though `paired`.
    """
    a, b = finite_vector("log_ratio", "a", a), finite_vector("log_ratio", "b", b)
    if paired and len(a) != len(b):
        raise ValueError(f"log_ratio: paired scores must be of the same seeds, got {len(a)} and {len(b)}.")
    if min(a.min(), b.min()) <= 0.0:
        reason = f"a ratio needs scores above 0; the lowest is {min(a.min(), b.min()):g}"
        return LogRatio(estimate=None, standard_error=None, df=None, reason=reason)
    if min(len(a), len(b)) < 2:
        return LogRatio(
            estimate=None, standard_error=None, df=None, reason="one seed shows no spread; two or more are needed"
        )
    log_a, log_b = np.log(a), np.log(b)
    estimate = float(log_a.mean() - log_b.mean())
    rounding = _ROUNDING * max(1.0, float(np.abs(log_a).max()), float(np.abs(log_b).max()))
    if paired:
        spread = float(np.std(log_a - log_b, ddof=1))
        error = spread / math.sqrt(len(a)) if spread > rounding else 0.0
        return LogRatio(estimate=estimate, standard_error=error, df=float(len(a) - 1))
    part_a, part_b = float(log_a.var(ddof=1)) / len(a), float(log_b.var(ddof=1)) / len(b)
    if math.sqrt(part_a + part_b) <= rounding:
        return LogRatio(estimate=estimate, standard_error=0.0, df=float(len(a) + len(b) - 2))
    share_a, share_b = part_a / (part_a + part_b), part_b / (part_a + part_b)
    df = 1.0 / (share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))
    return LogRatio(estimate=estimate, standard_error=math.sqrt(part_a + part_b), df=df)


def ratio_test(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    ratio: float,
    paired: bool,
    side: Literal["below", "above"] = "below",
    alpha: float = 0.05,
) -> MarginTest:
    """One-sided t test that A / B lies below `ratio`: "at least 20% lower" is below 0.8.

    A t test of the mean log ratio per seed against log(ratio), so the claim is about the ratio of geometric means.

    Args:
        a: (S_a,) positive scores of A, one per seed.
        b: (S_b,) those of B; the same seeds in the same order where `paired`.
        ratio: Above 0.
        paired: Whether a[s] and b[s] share a seed; else Welch's test.
        side: "below" claims A / B < ratio, "above" A / B > ratio.
        alpha: Of the test; the interval, of the ratio, has level 1 - 2 alpha.

    Returns:
        Estimate and interval are ratios. Not estimable as `log_ratio` says, and where no seed differs from another.

    Raises:
        ValueError: If an argument is out of its range, or lengths differ though `paired`.

    Example:
        >>> ratio_test([0.5, 0.6, 0.55], [1.0, 1.1, 1.05], ratio=0.8, paired=True).p_value < 0.05
        True
    """
    if not (math.isfinite(ratio) and ratio > 0.0):
        raise ValueError(f"ratio_test: ratio must be a number above 0, got {ratio}.")
    if side not in ("below", "above"):
        raise ValueError(f"ratio_test: side must be 'below' or 'above', got {side!r}.")
    check_share("ratio_test", "2 alpha", 2.0 * alpha)
    logs = log_ratio(a, b, paired=paired)
    claim = f"A / B {'<' if side == 'below' else '>'} {ratio:g}"
    method = f"one-sided t test of the log ratio per seed, {'paired' if paired else 'Welch'}"
    if logs.estimate is None or logs.standard_error is None or logs.df is None:
        return MarginTest(
            p_value=None, estimate=None, level=1.0 - 2.0 * alpha, claim=claim, method=method, reason=logs.reason
        )
    test = _margin_test(
        logs.estimate,
        logs.standard_error,
        logs.df,
        low=-math.inf if side == "below" else math.log(ratio),
        high=math.log(ratio) if side == "below" else math.inf,
        alpha=alpha,
        claim=claim,
        method=method,
    )
    return MarginTest(
        p_value=test.p_value,
        estimate=math.exp(logs.estimate),
        ci_low=None if test.ci_low is None else math.exp(test.ci_low),
        ci_high=None if test.ci_high is None else math.exp(test.ci_high),
        level=test.level,
        claim=claim,
        method=method,
        reason=test.reason,
    )


def _margin_test(
    estimate: float,
    standard_error: float,
    df: float,
    *,
    low: float,
    high: float,
    alpha: float,
    claim: str,
    method: str,
) -> MarginTest:
    level = 1.0 - 2.0 * alpha
    if standard_error <= _ROUNDING * abs(estimate):
        reason = "no spread between seeds or examples, so no standard error to test against"
        return MarginTest(p_value=None, estimate=estimate, level=level, claim=claim, method=method, reason=reason)
    from scipy.stats import t as student

    p_low = 0.0 if low == -math.inf else float(student.sf((estimate - low) / standard_error, df))
    p_high = 0.0 if high == math.inf else float(student.cdf((estimate - high) / standard_error, df))
    half_width = float(student.isf(alpha, df)) * standard_error
    return MarginTest(
        p_value=max(p_low, p_high),
        estimate=estimate,
        ci_low=estimate - half_width,
        ci_high=estimate + half_width,
        level=level,
        claim=claim,
        method=method,
    )


def _check(where: str, estimate: float, standard_error: float, df: float, alpha: float) -> None:
    if not math.isfinite(estimate):
        raise ValueError(f"{where}: estimate must be a finite number, got {estimate}.")
    if not (math.isfinite(standard_error) and standard_error >= 0.0):
        raise ValueError(f"{where}: standard_error must be a finite number, 0 or above, got {standard_error}.")
    if not df > 0.0:
        raise ValueError(f"{where}: df must be above 0, got {df}.")
    check_share(where, "2 alpha", 2.0 * alpha)


def _check_margin(where: str, margin: float) -> None:
    if not (math.isfinite(margin) and margin > 0.0):
        raise ValueError(f"{where}: margin must be a number above 0, got {margin}.")
