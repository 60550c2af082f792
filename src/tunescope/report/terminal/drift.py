"""Drift as a person reads it: of a study's runs beside their controls, and of two models layer by layer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.analysis.drift import DriftResult, by_cell
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert

_CONTROLS = {
    "seeds": "seed against seed",
    "random_update": "random update of its length",
    "base_again": "base model, read again",
    "bf16": "base model in bf16",
    "shuffled": "base model, other examples",
    "random_network": "random weights",
}
"""Controls in the order they are shown, in words."""


def drift_summary(results: Sequence[DriftResult]) -> RenderableType:
    """A line per method and per control of every base model and task."""
    if not results:
        return Text("no drift: the study has no `drift:` section", style="dim")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("base model", "task", "what"):
        table.add_column(name)
    for name in ("drift", "runs", "examples"):
        table.add_column(name, justify="right", no_wrap=True)
    for (model, task), found in by_cell(results).items():
        for what, several in _lines(found):
            values = [one.drift for one in several if one.drift is not None]
            counts = sorted({one.num_examples for one in several if one.num_examples is not None})
            missing = len(several) - len(values)
            table.add_row(
                Text(inert(model.rsplit("/", 1)[-1])),
                Text(inert(task)),
                Text(inert(what), style="" if several[0].compared == "tuned" else "dim"),
                _mean(values),
                f"{len(values)} of {len(several)}" if missing else str(len(values)),
                "/".join(f"{count:,}" for count in counts) or "-",
            )
    reasons = dict.fromkeys(one.reason for one in results if one.drift is None)
    return Group(
        Text(
            "drift: 1 - debiased linear CKA with the base model, mean over blocks; ± standard deviation", style="bold"
        ),
        Blocks(table, num_keys=3),
        *(Text(inert(f"no drift: {reason}"), style="yellow") for reason in reasons if reason),
    )


def _lines(results: Sequence[DriftResult]) -> list[tuple[str, list[DriftResult]]]:
    """What a line is about -> its results: methods, then each method's controls, then those that hold for all."""
    grouped: dict[tuple[int, str], list[DriftResult]] = {}
    order = list(_CONTROLS)
    for one in results:
        if one.compared == "tuned":
            grouped.setdefault((0, str(one.method)), []).append(one)
        elif one.method is not None:
            told = f"{one.method}: {_CONTROLS.get(one.compared, one.compared)}"
            grouped.setdefault((1 + order.index(one.compared), told), []).append(one)
        else:
            place = order.index(one.compared) if one.compared in order else order.index("base_again")
            told = _CONTROLS.get(one.compared, one.compared.replace("untrained ", "untrained adapter of "))
            grouped.setdefault((1 + place, told), []).append(one)
    return [(what, found) for (_, what), found in sorted(grouped.items(), key=lambda item: item[0][0])]


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = shown(statistics.fmean(values))
    return f"{mean} ± {shown(statistics.stdev(values))}" if len(values) > 1 else mean


def shown(value: float) -> str:
    """A drift to four decimals; smaller ones to two digits, so that rounding errors are seen as what they are."""
    return f"{value:.4f}" if value == 0.0 or abs(value) >= 5e-5 else f"{value:.1e}"
