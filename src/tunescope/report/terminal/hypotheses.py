"""A study's comparisons as a person reads them: the difference, its interval, what the tests allow, and the verdict."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.analysis.hypotheses import Compared
from tunescope.analysis.second_opinion import SecondOpinion
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert
from tunescope.report.terminal.results import is_share
from tunescope.study.hypothesis import RUN_MEASURES

_STYLES = {"undecided": "yellow", "not estimable": "red"}


def hypothesis_summary(
    found: Sequence[Compared], opinions: Sequence[SecondOpinion] = (), notes: Sequence[str] = ()
) -> RenderableType:
    """A line per comparison, then what is to be said of each, then what other methods say of them together.

    Args:
        found: As `compare_study` gives them, one family.
        opinions: As `second_opinions` gives them.
        notes: Of the study, as `study_notes` gives them; those that no comparison holds already come last.
    """
    if not found:
        return Text("nothing to compare: the study has one method", style="dim")
    caveats = dict.fromkeys(one.caveat for one in found if one.caveat)
    parts: list[RenderableType] = [
        Text(inert(_title(found)), style="bold"),
        *(Text(inert(caveat), style="yellow") for caveat in caveats),
        Blocks(_table(found), num_keys=_num_keys(found)),
    ]
    for one in found:
        parts.append(Text(inert(f"{_name(one)}: {_sentence(one)}"), style=_STYLES.get(one.verdict.answer, "")))
    for opinion in opinions:
        parts.extend(Text(inert(line), style="dim") for line in opinion.lines)
    parts.append(
        Text(
            "interval: seeds x examples, crossed random effects, t (one seed: examples alone); p: the larger of that t's and the "
            "permutation test over seeds, least: what so few seeds allow at best; Holm: over the family",
            style="dim",
        )
    )
    parts.extend(Text(inert(note), style="dim") for note in notes if note not in caveats)
    return Group(*parts)


def _title(found: Sequence[Compared]) -> str:
    declared = found[0].is_declared
    kind = "declared in the study" if declared else "exploratory: the study declares none under `compare:`"
    tested = sum(one.verdict.p_value is not None for one in found)
    left = f" ({tested} estimable, Holm is over those)" if tested < len(found) else ""
    return f"comparisons, a family of {len(found)}{left}, {kind}"


def _table(found: Sequence[Compared]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    several = len({one.base_model for one in found}) > 1
    if several:
        table.add_column("base model", overflow="fold")
    for name in ("task", "measure", "A against B"):
        table.add_column(name)
    for name in ("A", "B", "A - B", "95% interval", "p", "least", "Holm"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict on A", no_wrap=True)
    for one in found:
        cells = [one.base_model.rsplit("/", 1)[-1]] if several else []
        cells += [one.task, one.measure, f"{one.a} - {one.b}", *_numbers(one)]
        row = [Text(inert(cell)) for cell in cells]
        table.add_row(*row, Text(_verdict(one), style=_STYLES.get(one.verdict.answer, "green")))
    return table


def _num_keys(found: Sequence[Compared]) -> int:
    return 4 if len({one.base_model for one in found}) > 1 else 3


def _numbers(one: Compared) -> list[str]:
    comparison, difference = one.comparison, one.comparison.difference
    if difference.value is None:
        return ["-"] * 7
    unit = one.measure
    interval = "-"
    if difference.ci_low is not None and difference.ci_high is not None:
        interval = f"{_signed(difference.ci_low, unit)} to {_signed(difference.ci_high, unit)}"
    return [
        shown(statistics.fmean(comparison.a_scores), unit),
        shown(statistics.fmean(comparison.b_scores), unit),
        _signed(difference.value, unit),
        interval,
        p_shown(one.verdict.p_value),
        p_shown(comparison.permutation.smallest_p) if comparison.claim is None else "",
        p_shown(one.verdict.adjusted_p),
    ]


def _verdict(one: Compared) -> str:
    claim = one.comparison.claim
    if claim is None or one.verdict.answer in ("not estimable",):
        return one.verdict.answer
    bound = f"{100 * claim.bound:g} points" if is_share(one.measure) and not claim.is_ratio else f"{claim.bound:g}"
    told = {
        "equivalent_within": f"equivalent within {bound}",
        "not_worse_by": f"not worse by {bound}",
        "ratio_below": f"A / B below {bound}",
        "ratio_above": f"A / B above {bound}",
    }[claim.kind]
    return told if one.verdict.answer != "undecided" else f"{told}: undecided"


def _sentence(one: Compared) -> str:
    return one.verdict.sentence


def _name(one: Compared) -> str:
    return f"{one.task} {one.measure}, {one.a} - {one.b}"


def shown(value: float, measure: str) -> str:
    """A value of a measure in the unit it is shown in: points of a score, else its own."""
    return f"{100 * value:.1f}" if is_share(measure) and measure not in RUN_MEASURES else f"{value:.4g}"


def _signed(value: float, measure: str) -> str:
    return f"{100 * value:+.1f}" if is_share(measure) and measure not in RUN_MEASURES else f"{value:+.4g}"


def p_shown(p_value: float | None) -> str:
    """A p-value as a person reads it; `-` where there is none."""
    if p_value is None:
        return "-"
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.0e}"
