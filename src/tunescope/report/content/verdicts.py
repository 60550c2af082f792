"""A study's comparisons as sentences: what was decided, with its interval and price, and what was not and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from tunescope.analysis.collect import ResultRow
from tunescope.analysis.hypotheses import Compared
from tunescope.analysis.pair_price import PairPrice, pair_price
from tunescope.report.content import numbers
from tunescope.report.content.section import Sentence
from tunescope.stats.claim import Claim
from tunescope.study.hypothesis import DRIFT, RUN_MEASURES

TABLE = "quality-comparisons"
"""Id of the table of comparisons."""
MOST_SENTENCES = 20
"""Of verdicts, and of what is undecided, on the first screen; the rest is counted."""
_AGAINST = "speaks against the claim"
"""In the reason of a claim that its interval contradicts: `undecided` would hide that."""
_LOWER = {"train_s": "trains in less time than", "peak_memory_gib": "takes less memory than", DRIFT: "drifts less than"}
_HIGHER = {"train_s": "trains longer than", "peak_memory_gib": "takes more memory than", DRIFT: "drifts more than"}


def comparison_id(number: int) -> str:
    """The id of a comparison's row in the table of comparisons.

    Args:
        number: Its place in the findings, counted from 0.
    """
    return f"comparison-{number + 1}"


def verdict_sentences(
    comparisons: Sequence[Compared], rows: Sequence[ResultRow]
) -> tuple[tuple[Sentence, ...], tuple[Sentence, ...]]:
    """Those comparisons that were decided, and those that were not, each as one sentence.

    Args:
        comparisons: As `compare_study` gives them.
        rows: As `collect` gives them, for what the methods cost.
    """
    names = numbers.model_names(one.base_model for one in comparisons)
    decided, undecided = [], []
    for number, one in enumerate(comparisons):
        where = _where(one, names)
        anchor = comparison_id(number)
        if one.verdict.answer in ("undecided", "not estimable"):
            undecided.append(Sentence(text=_undecided(one, where), anchor=anchor, tone="doubt"))
        else:
            price = pair_price(rows, one.base_model, one.task, one.a, one.b)
            tone: Literal["", "good"] = "" if one.verdict.answer == "worse" else "good"
            decided.append(Sentence(text=_decided(one, where, price), anchor=anchor, tone=tone))
    rest = Sentence(text=f"{len(decided) - MOST_SENTENCES} more: see the table of comparisons.", anchor=TABLE)
    return (
        tuple(decided) if len(decided) <= MOST_SENTENCES else (*decided[:MOST_SENTENCES], rest),
        tuple(undecided) if len(undecided) <= MOST_SENTENCES else _counted(comparisons, names),
    )


def _counted(comparisons: Sequence[Compared], names: Mapping[str, str]) -> tuple[Sentence, ...]:
    """How many comparisons are undecided, task by task while these are few; the table says why."""
    counts: dict[str, list[int]] = {}
    for one in comparisons:
        place = counts.setdefault(_where(one, names), [0, 0])
        place[0] += one.verdict.answer in ("undecided", "not estimable")
        place[1] += 1
    if len(counts) > MOST_SENTENCES:
        lost = sum(undecided for undecided, _ in counts.values())
        told = f"{lost:,} of {len(comparisons):,} comparisons are undecided or not estimable: the table of comparisons has them."
        return (Sentence(text=told, anchor=TABLE, tone="doubt"),)
    return tuple(
        Sentence(
            text=f"On {where}, {undecided:,} of {numbers.plural(num, 'comparison')} are undecided or not estimable: the table of "
            "comparisons says why.",
            anchor=TABLE,
            tone="doubt",
        )
        for where, (undecided, num) in counts.items()
        if undecided
    )


def answer_words(one: Compared) -> str:
    """The verdict on A in a table's cell."""
    claim = one.comparison.claim
    answer = one.verdict.answer
    if claim is None or answer == "not estimable":
        return answer
    told = {
        "equivalent_within": f"equivalent within {_bound(claim, one.measure)}",
        "not_worse_by": f"not worse by {_bound(claim, one.measure)}",
        "ratio_below": f"A at least {_percent(1.0 - claim.bound)} lower",
        "ratio_above": f"A at least {_percent(claim.bound - 1.0)} higher",
    }[claim.kind]
    if answer != "undecided":
        return told
    return f"{told}: {'not borne out' if _AGAINST in one.verdict.why else 'undecided'}"


def estimate_words(one: Compared) -> str:
    """What a comparison rests on, with its interval: of the claim where it has one, else of the difference."""
    test, claim = one.comparison.claim_test, one.comparison.claim
    if claim is not None and test is not None and claim.is_ratio:
        if test.estimate is None:
            return ""
        interval = ""
        if test.ci_low is not None and test.ci_high is not None:
            interval = f" [{numbers.factor(test.ci_low)}, {numbers.factor(test.ci_high)}]"
        return f"{numbers.factor(test.estimate)} times that of {one.b}{interval}"
    found = one.comparison.difference
    value, low, high = found.value, found.ci_low, found.ci_high
    if test is not None:
        value, low, high = test.estimate, test.ci_low, test.ci_high
    if value is None:
        return ""
    shown = numbers.with_unit(numbers.difference_of(value, one.measure), one.measure)
    return f"{shown} {numbers.interval_of(low, high, one.measure)}".strip()


def details(one: Compared) -> str:
    """In brackets behind an estimate: the measure, how many seeds, the interval's level, and whether it was declared."""
    comparison = one.comparison
    a, b = comparison.num_seeds
    told = [] if one.measure in RUN_MEASURES else [one.measure]
    told.append(numbers.plural(a, "seed") if a == b else f"{a} against {b} seeds")
    test = comparison.claim_test
    estimate = comparison.difference if test is None else test
    if estimate.ci_low is not None:
        told.append(f"{100.0 * estimate.level:.4g}% interval")
    told += [] if one.is_declared else ["exploratory"]
    return f"({', '.join(told)})"


def _decided(one: Compared, where: str, price: PairPrice) -> str:
    return f"{_claim_words(one, where)}: {estimate_words(one)} {details(one)}{_price_words(one, price)}."


def _undecided(one: Compared, where: str) -> str:
    answer, why = one.verdict.answer, one.verdict.why or one.comparison.reason
    question = _question(one, where)
    if answer == "not estimable":
        return f"Not estimable: {question}: {_with_arms(why, one, everywhere=False)}."
    lead = "Not borne out" if _AGAINST in why else "Undecided"
    return f"{lead}: {question}: {estimate_words(one)} {details(one)}. {_with_arms(_sentence(why), one)}."


def _claim_words(one: Compared, where: str) -> str:
    answer, claim = one.verdict.answer, one.comparison.claim
    if claim is None:
        if one.measure not in RUN_MEASURES:
            return f"{one.a} is {answer} than {one.b} on {where}"
        return f"{one.a} {(_LOWER if answer == 'better' else _HIGHER)[one.measure]} {one.b} on {where}"
    return _claimed(one, claim, where)


def _claimed(one: Compared, claim: Claim, where: str) -> str:
    bound = _bound(claim, one.measure)
    if claim.kind == "equivalent_within":
        told = "is equivalent to" if one.measure not in RUN_MEASURES else f"has the same {_measure(one)} as"
        return f"{one.a} {told} {one.b} on {where} within {bound}"
    if claim.kind == "not_worse_by":
        told = "is not worse than" if one.measure not in RUN_MEASURES else f"has no higher {_measure(one)} than"
        return f"{one.a} {told} {one.b} on {where} by {bound} or more"
    side, share = ("lower", 1.0 - claim.bound) if claim.kind == "ratio_below" else ("higher", claim.bound - 1.0)
    return f"the {_measure(one)} of {one.a} on {where} is at least {_percent(share)} {side} than that of {one.b}"


def _question(one: Compared, where: str) -> str:
    claim = one.comparison.claim
    if claim is not None:
        return f"whether {_claimed(one, claim, where)}"
    return f"whether {one.a} and {one.b} differ in {_measure(one)} on {where}"


def _price_words(one: Compared, price: PairPrice) -> str:
    """A's cost as a share of B's; empty where it is unknown."""
    told = []
    if price.trainable_parameters is not None:
        told.append(f"at {numbers.times_the(price.trainable_parameters)} trained parameters")
    if price.train_s is not None and one.measure != "train_s":
        told.append(f"{numbers.times_the(price.train_s)} training time")
    return f", {', '.join(told)}" if told else ""


def _measure(one: Compared) -> str:
    return numbers.measure_words(one.measure)


def _bound(claim: Claim, measure: str) -> str:
    if numbers.is_share(measure):
        points = 100.0 * claim.bound
        return f"{points:.4g} {'point' if points == 1.0 else 'points'}"
    return numbers.with_unit(f"{claim.bound:.4g}", measure)


def _percent(share: float) -> str:
    return f"{100.0 * share:.4g}%"


def _where(one: Compared, names: Mapping[str, str]) -> str:
    """The task, with the base model where there are several."""
    return f"{one.task} ({names[one.base_model]})" if len(names) > 1 else one.task


def _with_arms(why: str, one: Compared, *, everywhere: bool = True) -> str:
    """The reason with the methods' names where it says A and B.

    Args:
        why: As `Verdict.why` has it.
        one: The comparison.
        everywhere: Whether all of it is ours; where a job's own message may be in it, only "of A" and "of B" are.
    """
    names = {"A": one.a, "B": one.b}
    if everywhere:
        return re.sub(r"\b([AB])\b", lambda found: names[found[1]], why)
    return re.sub(r"\bof ([AB])$", lambda found: f"of {names[found[1]]}", why)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
