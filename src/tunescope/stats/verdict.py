"""Comparisons of one family -> verdicts in words, with Holm's correction over the family.

A family is what a study declared beforehand that it would ask. Each comparison rests on one p-value: that of its claim where
it has one, else of the difference. One seed in an arm gives no verdict on methods: its p-value is about that trained model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunescope.stats.checks import check_share
from tunescope.stats.compare import Comparison
from tunescope.stats.holm import holm

Answer = Literal["better", "worse", "equivalent", "not worse", "holds", "undecided", "not estimable"]

_SHOWN: dict[str, Answer] = {
    "equivalent_within": "equivalent",
    "not_worse_by": "not worse",
    "ratio_below": "holds",
    "ratio_above": "holds",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a comparison shows once its family is accounted for."""

    answer: Answer
    """Of A against B: "better" and "worse" of a difference, "equivalent", "not worse" and "holds" (a ratio) of a claim."""
    p_value: float | None
    """The one the answer rests on, as it stands alone."""
    adjusted_p: float | None
    """After Holm's correction over the family; the answer is other than undecided where it is alpha or less."""
    sentence: str
    """Why, with the interval; where undecided, what would decide it."""
    why: str = ""
    """The part of the sentence that says why nothing is decided and what would; empty of other answers."""


def verdicts(comparisons: Sequence[Comparison], *, alpha: float = 0.05) -> list[Verdict]:
    """A verdict for each comparison of a family, in the same order.

    Args:
        comparisons: The whole family, and nothing else.
        alpha: Chance, at most, of one false verdict or more in the family.

    Raises:
        ValueError: If alpha is not within 0 and 1.
    """
    check_share("verdicts", "alpha", alpha)
    p_values = [_p_value(comparison) for comparison in comparisons]
    family = sum(p_value is not None for p_value in p_values)
    return [
        _verdict(comparison, p_value, float(adjusted), family, alpha)
        for comparison, p_value, adjusted in zip(comparisons, p_values, holm(p_values), strict=True)
    ]


def seeds_for(p_value: float, *, paired: bool) -> int:
    """The least number of seeds per arm whose permutation test can give so small a p: 2 / 2^S paired, 2 / C(2 S, S) not.

    Raises:
        ValueError: If p_value is not within 0 and 1.
    """
    check_share("seeds_for", "p_value", p_value)
    seeds = 1
    while 2.0 / (2.0**seeds if paired else math.comb(2 * seeds, seeds)) > p_value:
        seeds += 1
    return seeds


def _p_value(comparison: Comparison) -> float | None:
    return comparison.p_value if comparison.claim_test is None else comparison.claim_test.p_value


def _verdict(comparison: Comparison, p_value: float | None, adjusted: float, family: int, alpha: float) -> Verdict:
    if p_value is None:
        claim = comparison.claim_test
        reason = comparison.reason or (claim.reason if claim is not None else "") or comparison.permutation.reason
        told = f"Not estimable: {reason}."
        return Verdict(answer="not estimable", p_value=None, adjusted_p=None, sentence=told, why=reason)
    answer, why = _answer(comparison, adjusted, family, alpha)
    after = f" (p {_p(adjusted)} after Holm over {family})" if family > 1 else f" (p {_p(p_value)})"
    sentence = f"{_finding(comparison)}{after}{': ' + why if why else ''}."
    return Verdict(answer=answer, p_value=p_value, adjusted_p=adjusted, sentence=sentence, why=why)


def _answer(comparison: Comparison, adjusted: float, family: int, alpha: float) -> tuple[Answer, str]:
    if comparison.num_seeds == (1, 1):
        return "undecided", (
            "one seed per arm, so this is of two trained models on other examples; of the methods it says nothing "
            "before there are more seeds"
        )
    if min(comparison.num_seeds) == 1:
        arm = "A" if comparison.num_seeds[0] == 1 else "B"
        return "undecided", f"{arm} has one seed, and nothing shows how far another seed of {arm} would score"
    if comparison.claim is not None:
        if adjusted <= alpha:
            return _SHOWN[comparison.claim.kind], ""
        return "undecided", _why_claim_undecided(comparison, family, alpha)
    if adjusted <= alpha:
        value = comparison.difference.value
        assert value is not None
        return ("better" if (value > 0.0) == comparison.higher_is_better else "worse"), ""
    return "undecided", _why_undecided(comparison, family, alpha)


def _why_undecided(comparison: Comparison, family: int, alpha: float) -> str:
    if comparison.reason:
        return comparison.reason
    smallest, seeds = comparison.permutation.smallest_p, _seed_words(comparison.num_seeds)
    needed = alpha / family
    if smallest is not None and smallest > needed:
        would = seeds_for(needed, paired=comparison.paired_by_seed)
        within = f" allow one as small as a family of {family} asks" if family > 1 else ""
        return f"{seeds} allow no p below {_p(smallest)}; {would} would{within}"
    assert comparison.p_interval is not None
    assert comparison.permutation.p_value is not None
    if _p_value_holds_alone(comparison, alpha):
        return _only_alone(comparison, family)
    if comparison.p_interval <= needed < comparison.permutation.p_value:
        return f"the interval leaves 0 out, but the permutation test over seeds (p {_p(comparison.permutation.p_value)}) does not agree"
    if comparison.permutation.p_value <= needed < comparison.p_interval:
        return f"the seeds agree, but too few examples bear it out; {_what_narrows(comparison)}"
    return f"the difference lies inside the noise; {_what_narrows(comparison)}"


def _why_claim_undecided(comparison: Comparison, family: int, alpha: float) -> str:
    test = comparison.claim_test
    assert test is not None
    assert comparison.claim is not None
    assert test.ci_low is not None
    assert test.ci_high is not None
    if _p_value_holds_alone(comparison, alpha):
        return _only_alone(comparison, family)
    bound, kind = comparison.claim.bound, comparison.claim.kind
    if kind == "equivalent_within":
        contradicted = test.ci_low >= bound or test.ci_high <= -bound
    elif kind == "not_worse_by":
        contradicted = test.ci_high <= -bound if comparison.higher_is_better else test.ci_low >= bound
    else:
        contradicted = test.ci_low >= bound if kind == "ratio_below" else test.ci_high <= bound
    if contradicted:
        return "the whole interval lies on the other side of the bound, which speaks against the claim"
    return f"the interval reaches past the bound; {_what_narrows(comparison)}"


def _p_value_holds_alone(comparison: Comparison, alpha: float) -> bool:
    p_value = _p_value(comparison)
    return p_value is not None and p_value <= alpha


def _only_alone(comparison: Comparison, family: int) -> str:
    p_value = _p_value(comparison)
    assert p_value is not None
    return f"p {_p(p_value)} would do alone, and does not among {family}; {_what_narrows(comparison)}"


def _what_narrows(comparison: Comparison) -> str:
    """Which of seeds and examples makes the interval as wide as it is."""
    crossed = comparison.crossed
    if comparison.num_examples is None or crossed is None or crossed.parts is None:
        return "more seeds would narrow the interval"
    parts = crossed.parts
    share = parts.seeds / (parts.seeds + parts.examples)
    if share > 0.5:
        return f"{share:.0%} of the variance lies between seeds: more seeds would narrow the interval"
    return f"{1.0 - share:.0%} of the variance lies in the choice of examples: more of them would narrow the interval"


def _finding(comparison: Comparison) -> str:
    test = comparison.claim_test
    if test is not None:
        name = "A / B" if comparison.claim is not None and comparison.claim.is_ratio else "A - B"
        return f"Claim {test.claim}: {name} = {_interval(test.estimate, test.ci_low, test.ci_high, test.level)}"
    found = comparison.difference
    return f"A - B = {_interval(found.value, found.ci_low, found.ci_high, found.level)}"


def _interval(value: float | None, low: float | None, high: float | None, level: float) -> str:
    assert value is not None
    if low is None or high is None:
        return f"{value:.4g}, without interval"
    return f"{value:.4g}, {100 * level:.4g}% interval {low:.4g} to {high:.4g}"


def _seed_words(num_seeds: tuple[int, int]) -> str:
    a, b = num_seeds
    return f"{a} seeds" if a == b else f"{a} against {b} seeds"


def _p(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value >= 1e-4 else f"{p_value:.0e}"
