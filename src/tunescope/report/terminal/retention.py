"""What runs forgot of plain text, as a person reads it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.analysis.retention import Retained
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert


def retention_summary(rows: Sequence[Retained]) -> RenderableType:
    """A line per base model, text, task and method: the base model's loss, the runs' mean, and how far they moved."""
    if not rows:
        return Text("no retention: the study has no `retention:` section, or no decoder", style="dim")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("base model", "text", "trained on", "method"):
        table.add_column(name)
    for name in ("base loss", "loss", "perplexity", "KL from base", "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    cells = dict.fromkeys((row.base_model, row.text, row.task, row.method) for row in rows)
    for model, text, task, method in cells:
        own = [row for row in rows if (row.base_model, row.text, row.task, row.method) == (model, text, task, method)]
        done = [row for row in own if row.state == "done"]
        names = [Text(inert(one)) for one in (model.rsplit("/", 1)[-1], text, task, method)]
        table.add_row(
            *names,
            f"{done[0].base_loss:.4f}" if done else "-",
            _mean([row.tuned_loss for row in done]),
            _mean([row.tuned_perplexity for row in done], digits=2),
            _mean([row.kl for row in done]),
            str(len(done)) if len(done) == len(own) else f"{len(done)} of {len(own)}",
        )
    reasons = dict.fromkeys(row.reason for row in rows if row.state != "done" and row.reason)
    return Group(
        Text(
            "retention: nats per token of plain text under the base model's own head; mean ± standard deviation over seeds",
            style="bold",
        ),
        Blocks(table, num_keys=4),
        *(Text(inert(f"no retention: {reason}"), style="yellow") for reason in reasons),
    )


def _mean(values: Sequence[float | None], *, digits: int = 4) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = f"{statistics.fmean(known):,.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):,.{digits}f}" if len(known) > 1 else mean
