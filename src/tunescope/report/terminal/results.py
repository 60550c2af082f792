"""The result table as a person reads it on a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.analysis.collect import ResultRow
from tunescope.report.notes import study_notes
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert
from tunescope.study.plan import baselines_left_out
from tunescope.study.spec import StudySpec

_NOT_SHARES = {"mse", "rmse"}
"""Scores that are not shown as percent."""


def result_summary(rows: Sequence[ResultRow], study: StudySpec | None = None) -> RenderableType:
    """A table per base model: a line per task and score, a column per method and baseline, and what to know of it.

    Args:
        rows: As `collect` gives them.
        study: Where it is given, the ranges it expects are set beside what came out.
    """
    parts: list[RenderableType] = []
    models = list(dict.fromkeys(row.base_model for row in rows if row.kind == "run"))
    for model in models:
        num_seeds = len({row.seed for row in rows if row.kind == "run" and row.base_model == model})
        spread = f"mean ± standard deviation over {num_seeds} seeds" if num_seeds > 1 else "one seed"
        parts.append(Text(inert(f"{model}: {spread}, {_unit(rows)}"), style="bold"))
        parts.append(Blocks(_model_table(model, rows), num_keys=2))
    parts.extend(_notes(rows))
    if study is not None:
        stated = {(row.method, row.task, row.base_model) for row in rows if row.kind == "baseline"}
        lines = [*baselines_left_out(study, stated), *_expectations(rows, study), *study_notes(study)]
        parts.extend(Text(inert(line), style="dim") for line in lines)
    return Group(*parts)


def _unit(rows: Sequence[ResultRow]) -> str:
    """What the numbers are in."""
    errors = sorted({row.metric for row in rows if not is_share(row.metric)})
    return f"in percent, {' and '.join(errors)} in the scores' own unit" if errors else "in percent unless said"


def _model_table(model: str | None, rows: Sequence[ResultRow]) -> Table:
    runs = [row for row in rows if row.kind == "run" and row.base_model == model]
    baselines = [row for row in rows if row.kind == "baseline" and row.base_model in (None, model)]
    methods = list(dict.fromkeys(row.method for row in runs))
    guesses = [name for name in ("majority", "random", "zero_shot") if any(row.method == name for row in baselines)]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("task")
    table.add_column("score")
    table.add_column("rows", justify="right", no_wrap=True)
    for name in methods:
        table.add_column(name, justify="right", no_wrap=True, style="bold")
    for name in guesses:
        table.add_column(name.replace("_", "-"), justify="right", no_wrap=True)
    for task, metric in dict.fromkeys((row.task, row.metric) for row in runs):
        cells = [
            _over_seeds([row for row in runs if (row.task, row.metric, row.method) == (task, metric, name)])
            for name in methods
        ]
        fixed = [_constant(baselines, task, metric, name) for name in guesses]
        counts = {row.num_examples for row in runs if row.task == task and row.num_examples is not None}
        table.add_row(task, metric, "/".join(f"{count:,}" for count in sorted(counts)) or "-", *cells, *fixed)
    return table


def _over_seeds(rows: Sequence[ResultRow]) -> Text:
    """Mean and spread where every seed is there, else how many are."""
    values = [row.value for row in rows if row.value is not None]
    failed = sum(row.state == "failed" for row in rows)
    if not values:
        return Text(f"{failed} failed" if failed else "-", style="red" if failed else "dim")
    metric = rows[0].metric
    text = _shown(statistics.fmean(values), metric)
    if len(values) > 1:
        text += f" ± {_shown(statistics.stdev(values), metric)}"
    if len(values) < len(rows):
        return Text(f"{text} ({len(values)} of {len(rows)})", style="yellow")
    return Text(text)


def _constant(rows: Sequence[ResultRow], task: str, metric: str, name: str) -> Text:
    for row in rows:
        if (row.task, row.metric, row.method) == (task, metric, name) and row.seed is None and row.value is not None:
            return Text(_shown(row.value, metric))
    return Text("-", style="dim")


def is_share(metric: str) -> bool:
    """Whether a score is shown in percent."""
    return metric not in _NOT_SHARES


def _shown(value: float, metric: str) -> str:
    return f"{round(100 * value, 1) + 0.0:.1f}" if is_share(metric) else f"{value:.4g}"  # + 0.0: no "-0.0"


def _notes(rows: Sequence[ResultRow]) -> list[Text]:
    """Failures, flags, truncation and sources, once each."""
    notes: dict[str, None] = {}
    flagged: dict[str, dict[str, None]] = {}
    for row in rows:
        name = f"{row.task} {row.method}" + (f" seed {row.seed}" if row.seed is not None else "")
        if row.state == "failed":
            notes[f"failed: {name}: {row.reason}"] = None
        elif row.state == "done" and row.kind == "run" and row.value is None:
            notes[f"no {row.metric}: {name}: {row.reason}"] = None
        for flag in row.flags.split("; ") if row.flags else ():
            flagged.setdefault(flag, {})[name] = None
        if row.truncated_share:
            notes[
                f"truncated: {row.task} ({_short(row.base_model)}): {row.truncated_share:.1%} of the scored examples lost text"
            ] = None
        if row.method == "reference" and row.value is not None:
            notes[f"published: {row.task} {row.metric} {_shown(row.value, row.metric)}: {row.reason}"] = None
    notes |= {f"flag: {', '.join(names)}: {flag}": None for flag, names in flagged.items()}
    return [
        Text(inert(note), style="red" if note.startswith("failed") else "yellow" if note.startswith("flag") else "dim")
        for note in notes
    ]


def _expectations(rows: Sequence[ResultRow], study: StudySpec) -> list[str]:
    """For each range the study expects: whether the mean over seeds lies in it."""
    lines = []
    for band in study.expected:
        for model in dict.fromkeys(row.base_model for row in rows if row.kind == "run"):
            values = [
                row.value
                for row in rows
                if (row.kind, row.base_model, row.task, row.method, row.metric)
                == ("run", model, band.task, band.method, band.metric)
                and row.value is not None
            ]
            low, high = _shown(band.low, band.metric), _shown(band.high, band.metric)
            told = "not measured yet"
            if values:
                mean = statistics.fmean(values)
                told = f"{_shown(mean, band.metric)}, {'inside' if band.low <= mean <= band.high else 'OUTSIDE'}"
            lines.append(f"expected: {band.task} {band.method} {band.metric} {low} to {high} ({_short(model)}): {told}")
    return lines


def _short(name: str | None) -> str:
    return (name or "").rsplit("/", 1)[-1]


def render(content: RenderableType, *, width: int | None = None) -> str:
    """The content as plain text, for tests and logs."""
    console = Console(width=width or 120, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(content)
    return capture.get()
