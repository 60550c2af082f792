"""A study's sweeps as a person reads them: every trial, what was chosen, and how far the choice can be trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.analysis.sweeps import SweepSummary
from tunescope.analysis.trials import TrialRow
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert
from tunescope.report.terminal.results import is_share

_STYLES = {"complete": "", "pruned": "dim", "failed": "red", "missing": "dim"}


def trial_summary(rows: Sequence[TrialRow], sweeps: Sequence[SweepSummary]) -> RenderableType:
    """A table per sweep, a line per trial; below it what `sweep_lines` tells.

    Args:
        rows: As `collect_trials` gives them.
        sweeps: As `summarise_sweeps` gives them, of the same plan and store.
    """
    if not rows:
        return Text("this study has no sweep: write `{sweep: ...}` at a method's field", style="dim")
    parts: list[RenderableType] = []
    for summary in sweeps:
        own = [row for row in rows if (row.base_model, row.task, row.method) == summary.place]
        parts.append(Text(inert(summary.title), style="bold"))
        parts.append(Blocks(_table(own), num_keys=1))
        parts.extend(_lines(summary))
        failures = dict.fromkeys(f"trial {row.trial} failed: {row.reason}" for row in own if row.state == "failed")
        parts.extend(Text(inert(told), style="red") for told in failures)
    return Group(*parts)


def sweep_lines(sweeps: Sequence[SweepSummary]) -> list[RenderableType]:
    """What the result table says of the sweeps below it: the choice, its price, and its warnings."""
    parts: list[RenderableType] = []
    for summary in sweeps:
        parts.append(Text(inert(f"tuned: {summary.title}: {summary.chosen}"), style="dim"))
        parts.extend(Text(inert(f"warning: {summary.title}: {told}"), style="yellow") for told in summary.warnings)
    return parts


def _lines(summary: SweepSummary) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(inert(summary.chosen))]
    if summary.against_default:
        lines.append(Text(inert(summary.against_default)))
    if summary.budget_curve:
        lines.append(Text(inert(summary.budget_curve), style="dim"))
    lines.extend(Text(inert(f"warning: {told}"), style="yellow") for told in summary.warnings)
    return lines


def _table(rows: Sequence[TrialRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    fields = list(dict.fromkeys(name for row in rows if row.values for name in json.loads(row.values)))
    table.add_column("trial", justify="right")
    for name in fields:
        table.add_column(Text(inert(name)), justify="right", no_wrap=True)
    if any(row.effective_scale is not None for row in rows):
        table.add_column("scale", justify="right", no_wrap=True)
    for name in ("score", "se", "scorings", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        values: dict[str, Any] = json.loads(row.values) if row.values else {}
        cells = [str(row.trial), *(_value(values.get(name)) for name in fields)]
        if any(one.effective_scale is not None for one in rows):
            cells.append("-" if row.effective_scale is None else f"{row.effective_scale:g}")
        cells += [
            _score(row.score, row.metric),
            _score(row.standard_error, row.metric),
            "-" if row.num_scorings is None else str(row.num_scorings),
            "-" if row.num_tokens is None else f"{row.num_tokens:,}",
            _remark(row),
        ]
        style = "bold" if row.is_best else _STYLES[row.state]
        table.add_row(*(Text(inert(cell), style=style) for cell in cells))
    return table


def _remark(row: TrialRow) -> str:
    parts: list[str] = [] if row.state == "complete" else ["not run yet" if row.state == "missing" else row.state]
    parts += ["chosen"] if row.is_best else []
    parts += ["default"] if row.is_default else []
    return ", ".join(parts)


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _score(value: float | None, metric: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}" if is_share(metric) else f"{value:.4g}"
