"""What a planned study could find, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert
from tunescope.report.terminal.results import is_share
from tunescope.stats.power import DISCORDANCE, SEED_SD, Power, SeedsNeeded
from tunescope.study.detectable import ASSUMED_ACCURACY, Detectable

_FEW_DF = 10
"""Below it, a standard deviation may well be off by a half."""


def detectable_summary(found: Sequence[Detectable], num_seeds: int) -> list[RenderableType]:
    """A line per task and score: the interval a difference would have, what could be found, and the seeds a margin takes."""
    if not found:
        return []
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(f"what a difference of two methods could be told from, with {num_seeds} seed(s)", style="bold"),
        title_justify="left",
    )
    for name in ("task", "score"):
        table.add_column(name)
    for name in ("rows", "seeds", "interval", "detectable", "margin", "seeds to find it", "for equivalence"):
        table.add_column(name, justify="right", no_wrap=True)
    notes: dict[str, None] = {}
    for one in found:
        rows = "-" if one.num_examples is None else f"{one.num_examples:,}"
        if one.paired is None or one.unpaired is None:
            table.add_row(one.task, one.metric, rows, *["-"] * 6)
            notes[f"{one.task} {one.metric}: {one.reason}"] = None
            continue
        for design, power in (("paired", one.paired), ("unpaired", one.unpaired)):
            is_first = design == "paired"
            table.add_row(
                one.task if is_first else "",
                one.metric if is_first else "",
                rows if is_first else "",
                design,
                *_cells(one, power),
            )
            if power.reason:
                notes[f"{design} seeds: {power.reason}"] = None
            for needed in (power.seeds_to_detect, power.seeds_for_equivalence):
                if needed is not None and needed.reason:
                    notes[needed.reason] = None
    return [Blocks(table, num_keys=4), *(Text(inert(note), style="dim") for note in [*notes, *_premises(found)])]


def _premises(found: Sequence[Detectable]) -> list[str]:
    """What the table rests on."""
    size = found[0].family
    tests = (
        f"; each test at 5% / {size}, as Holm's correction over the study's {size} comparisons asks" if size > 1 else ""
    )
    lines = [f"interval: 95%, of one comparison; detectable: at 80% power{tests}"]
    measured = [one for one in found if one.measured is not None]
    for one in measured:
        assert one.measured is not None
        spread = one.measured
        lines.append(
            f"{one.task} {one.metric}: measured standard deviation over seeds {_points(spread.sd, one.metric)}, from "
            f"{spread.num_runs} finished runs ({spread.df} degrees of freedom{', few' if spread.df < _FEW_DF else ''})"
        )
    if len(measured) < len(found):
        where = "elsewhere " if measured else ""
        lines.append(
            f"{where}assumed: a standard deviation over seeds of {100 * SEED_SD:g} points. `--store DIR` with finished runs of this "
            "study measures it"
        )
    lines.append(
        f"assumed: {DISCORDANCE:.0%} of rows answered differently by two methods, and where nothing is expected "
        f"{ASSUMED_ACCURACY:.0%} accuracy"
    )
    return lines


def _cells(one: Detectable, power: Power) -> list[str]:
    unit = one.metric
    return [
        "-" if power.half_width is None else f"± {_points(power.half_width, unit)}",
        "none" if power.detectable is None else _points(power.detectable, unit),
        "-" if one.margin is None else _points(one.margin, unit),
        _seeds(power.seeds_to_detect),
        _seeds(power.seeds_for_equivalence),
    ]


def _seeds(needed: SeedsNeeded | None) -> str:
    if needed is None:
        return "-"
    return "no number" if needed.num_seeds is None else str(needed.num_seeds)


def _points(value: float, metric: str) -> str:
    return f"{100 * value:.1f}" if is_share(metric) else f"{value:.3g}"
