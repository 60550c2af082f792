"""What runs still say of the study's other tasks, as a person reads it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.analysis.probes import Probed
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert
from tunescope.study.probe_jobs import probes_left_out
from tunescope.study.spec import StudySpec


def probe_summary(rows: Sequence[Probed], study: StudySpec) -> RenderableType:
    """A line per base model, probed task, task trained on and method: the base model's accuracy, the runs', the difference.

    Args:
        rows: Of the study, at least one seed a line.
        study: Says which tasks are not probed, and why.
    """
    if not rows:
        return Text("no probes: the study's `retention:` section does not ask for them", style="dim")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("base model", "probe of", "trained on", "method"):
        table.add_column(name)
    for name in ("majority", "base", "accuracy", "difference", "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    lines: dict[tuple[str, str, str, str], list[Probed]] = {}
    for row in rows:
        lines.setdefault((row.base_model, row.probe_task, row.trained_on, row.method), []).append(row)
    for (model, *names), own in lines.items():
        done = [row.accuracy for row in own if row.accuracy is not None]
        base = own[0].base_accuracy
        majority = next((row.majority_accuracy for row in own if row.majority_accuracy is not None), None)
        table.add_row(
            *(Text(inert(one)) for one in (model.rsplit("/", 1)[-1], *names)),
            _share(majority),
            _share(base),
            _spread(done),
            "-" if base is None else _spread([accuracy - base for accuracy in done], sign="+"),
            str(len(done)) if len(done) == len(own) else f"{len(done)} of {len(own)}",
        )
    reasons = dict.fromkeys(row.reason for row in rows if row.reason)
    return Group(
        Text(
            f"probes: accuracy on other tasks' report rows of a linear probe of the frozen states "
            f"({_read(rows)}); mean ± standard deviation over seeds",
            style="bold",
        ),
        Blocks(table, num_keys=4),
        *(Text(inert(f"not measured: {reason}"), style="yellow") for reason in reasons),
        *(Text(inert(line), style="dim") for line in probes_left_out(study)),
    )


def _read(rows: Sequence[Probed]) -> str:
    """The state that was read and on how many rows, where these are one for all."""
    layers = {row.layer for row in rows if row.layer}
    fitted = {row.num_train for row in rows if row.num_train is not None}
    state = layers.pop() if len(layers) == 1 else "the last one"
    return f"{state}, fitted on {fitted.pop():,} train rows" if len(fitted) == 1 else f"{state}, fitted on train rows"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _spread(values: Sequence[float], *, sign: str = "") -> str:
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):{sign}.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean
