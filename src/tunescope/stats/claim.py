"""What a study may claim of a difference besides that there is one: a margin, or a ratio, and the test of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from tunescope.stats.crossed import Crossed
from tunescope.stats.equivalence import MarginTest, bound_test, equivalence_test, non_inferiority_test

Kind = Literal["equivalent_within", "not_worse_by", "ratio_below", "ratio_above"]
KINDS: tuple[Kind, ...] = ("equivalent_within", "not_worse_by", "ratio_below", "ratio_above")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A hypothesis with a bound.

    Raises:
        ValueError: If the kind is unknown or the bound not a number above 0.

    Example:
        >>> Claim(kind="ratio_below", bound=0.8)  # "at least 20% less drift"
        Claim(kind='ratio_below', bound=0.8)
    """

    kind: Kind
    bound: float
    """The margin in the score's unit, a fraction where the score is one (0.03 is 3 points); or the ratio A / B."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Claim: kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if not (math.isfinite(self.bound) and self.bound > 0.0):
            raise ValueError(f"Claim: bound must be a number above 0, got {self.bound}")

    @property
    def is_ratio(self) -> bool:
        return self.kind in ("ratio_below", "ratio_above")


def margin_test(claim: Claim, difference: Crossed, *, higher_is_better: bool, alpha: float) -> MarginTest:
    """The test of a claim about A - B: two one-sided t tests for "equivalent_within", one for "not_worse_by".

    Args:
        claim: No ratio.
        difference: A - B with its standard error and df.
        higher_is_better: Which side is worse.
        alpha: Of the test.

    Raises:
        ValueError: If the claim is of a ratio.
    """
    if claim.is_ratio:
        raise ValueError(f"margin_test: {claim.kind} is about a ratio; ratio_claim_test takes it")
    value, margin = difference.estimate.value, claim.bound
    worse_side = f"A - B > -{margin:g}" if higher_is_better else f"A - B < {margin:g}"
    words = f"|A - B| < {margin:g}" if claim.kind == "equivalent_within" else worse_side
    if value is None or difference.standard_error is None or difference.df is None:
        return _not_estimable(words, value, alpha, difference.estimate.reason)
    if claim.kind == "equivalent_within":
        return equivalence_test(value, difference.standard_error, difference.df, margin=margin, alpha=alpha)
    if higher_is_better:
        return non_inferiority_test(value, difference.standard_error, difference.df, margin=margin, alpha=alpha)
    return bound_test(value, difference.standard_error, difference.df, bound=margin, side="below", alpha=alpha)


def ratio_claim_test(claim: Claim, log_ratio: Crossed | str, *, alpha: float) -> MarginTest:
    """The one-sided t test of a claim about A / B, from the mean of log A - log B over seeds.

    Args:
        claim: Of a ratio.
        log_ratio: Mean of log A - log B with its standard error and df; or why there is none.
        alpha: Of the test.

    Returns:
        Estimate and interval are ratios, of geometric means over seeds.

    Raises:
        ValueError: If the claim is not of a ratio.
    """
    if not claim.is_ratio:
        raise ValueError(f"ratio_claim_test: {claim.kind} is about a difference; margin_test takes it")
    side: Literal["below", "above"] = "below" if claim.kind == "ratio_below" else "above"
    words = f"A / B {'<' if side == 'below' else '>'} {claim.bound:g}"
    if isinstance(log_ratio, str):
        return _not_estimable(words, None, alpha, log_ratio)
    value = log_ratio.estimate.value
    assert value is not None
    if log_ratio.standard_error is None or log_ratio.df is None:
        return _not_estimable(words, math.exp(value), alpha, log_ratio.estimate.reason)
    test = bound_test(
        value, log_ratio.standard_error, log_ratio.df, bound=math.log(claim.bound), side=side, alpha=alpha
    )
    return replace(
        test,
        estimate=math.exp(value),
        ci_low=None if test.ci_low is None else math.exp(test.ci_low),
        ci_high=None if test.ci_high is None else math.exp(test.ci_high),
        claim=words,
        method=f"one-sided t test of the log ratio; {log_ratio.estimate.method}",
    )


def _not_estimable(words: str, value: float | None, alpha: float, reason: str) -> MarginTest:
    return MarginTest(p_value=None, estimate=value, level=1.0 - 2.0 * alpha, claim=words, reason=reason)
