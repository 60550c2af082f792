"""Where a study stands, as a person reads it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.report.terminal.inert import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunescope.study.job import Job


def status_summary(
    name: str, states: Sequence[tuple[Job, str, str]], logs: Sequence[str], left_s: str
) -> RenderableType:
    """Jobs by kind and state, then every failure with its reason and log."""
    counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for job, state, _ in states:
        counts[job.kind][state] += 1
    table = Table(title=Text(name, style="bold"), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("jobs")
    for state in ("done", "failed", "left"):
        table.add_column(state, justify="right")
    for kind, by_state in counts.items():
        table.add_row(kind, *(str(by_state[state]) for state in ("done", "failed", "missing")))
    parts: list[RenderableType] = [table]
    for (job, state, reason), log in zip(states, logs, strict=True):
        if state == "failed":
            parts.append(
                Text(inert(f"failed: {job.label} ({job.kind}/{job.id[:8]}): {reason}\n        log: {log}"), style="red")
            )
    parts.append(Text(inert(left_s), style="dim"))
    return Group(*parts)
