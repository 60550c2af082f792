"""How far two models are apart, layer by layer, as a person reads it on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.drift.row import LAYER_PAIRS, DriftRow
from tunescope.drift.summary import mean_drift
from tunescope.drift.two_models import TwoModels
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.drift import shown
from tunescope.report.terminal.inert import inert
from tunescope.study.drift import DRIFT_MEASURE
from tunescope.weights.measure import UpdateRow

_BAR = 20
"""Characters of a bar whose value is the largest."""
_ROUNDING = 1e-6
"""Drifts up to here are rounding of float32 states, and have no bar."""
_THRESHOLD = 0.5
"""Of the intruder dimensions that are shown; every threshold is in the file of the weights."""
_MODULES = 8
"""Modules with the largest relative updates that are shown."""


def two_models_summary(found: TwoModels, pooling: str) -> RenderableType:
    """A line per layer with a bar, what the measures warn of, and the modules whose weights changed most."""
    rows = [row for row in found.rows if row.pooling == pooling and row.measure != LAYER_PAIRS]
    measures = list(dict.fromkeys(row.measure for row in rows if row.measure != DRIFT_MEASURE))
    states = list(dict.fromkeys(row.state for row in rows))
    parts: list[RenderableType] = []
    if not states:
        parts.append(Text("the models differ in depth: no layer of one is a layer of the other", style="bold"))
        parts.append(_nearest(found, pooling))
    else:
        total = mean_drift(rows, "tuned", pooling)
        told = "not defined" if total is None else shown(total)
        parts.append(
            Text(
                f"drift {told} (1 - debiased linear CKA, mean over blocks), {len(found.ids):,} examples, {pooling}",
                style="bold",
            )
        )
        parts.append(Blocks(_layers(rows, states, measures), num_keys=1))
    notes = dict.fromkeys(f"{row.measure}: {row.note}" for row in rows if row.note)
    parts.extend(Text(inert(note), style="dim") for note in notes)
    if found.truncated:
        parts.append(Text(f"truncated: {found.truncated:.1%} of the examples lost text", style="dim"))
    if found.updates:
        parts.append(Blocks(_modules(found.updates), num_keys=1))
    parts.extend(Text(inert(note), style="yellow") for note in found.notes)
    return Group(*parts)


def _layers(rows: Sequence[DriftRow], states: Sequence[str], measures: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("layer", no_wrap=True)
    for name in ("drift", "95% over examples"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in measures:
        table.add_column(name, justify="right")
    by_place = {(row.state, row.measure): row for row in rows}
    drifts = [1.0 - value for state in states if (value := by_place[(state, DRIFT_MEASURE)].value) is not None]
    largest = max(drifts, default=0.0)
    for state in states:
        row = by_place[(state, DRIFT_MEASURE)]
        value = None if row.value is None else 1.0 - row.value
        interval = (
            "-" if row.ci_low is None or row.ci_high is None else f"{shown(1 - row.ci_high)} to {shown(1 - row.ci_low)}"
        )
        length = 0 if value is None or largest <= _ROUNDING else round(_BAR * max(value, 0.0) / largest)
        table.add_row(
            state,
            "-" if value is None else shown(value),
            interval,
            "█" * length,
            *(_cell(by_place.get((state, name))) for name in measures),
        )
    return table


def _cell(row: DriftRow | None) -> str:
    return "-" if row is None or row.value is None else f"{row.value:.4f}"


def _nearest(found: TwoModels, pooling: str) -> Table:
    """For every layer of the base model, the layer of the other that is most like it."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("layer of base", "most like it"):
        table.add_column(name, no_wrap=True)
    table.add_column("debiased CKA", justify="right", no_wrap=True)
    pairs = [
        row for row in found.rows if row.measure == LAYER_PAIRS and row.pooling == pooling and row.value is not None
    ]
    for state in dict.fromkeys(row.state for row in pairs):
        best = max((row for row in pairs if row.state == state), key=lambda row: row.value or 0.0)
        table.add_row(state, best.other_state, f"{best.value:.4f}")
    return table


def _modules(updates: Sequence[UpdateRow]) -> Table:
    changed = [row for row in updates if row.relative_norm]
    table = Table(
        box=box.SIMPLE_HEAD, caption=f"{len(changed)} of {len(updates)} parameters changed", caption_justify="left"
    )
    table.add_column("weights that changed most", overflow="fold")
    for name in ("|dW| / |W|", "effective rank", "stable rank", "changed"):
        table.add_column(name, justify="right", no_wrap=True)
    turned = any(row.directions is not None for row in changed)
    if turned:
        table.add_column("intruders left, right", justify="right")
        table.add_column("of a random update", justify="right")
    for row in sorted(changed, key=lambda row: -(row.relative_norm or 0.0))[:_MODULES]:
        table.add_row(
            Text(inert(row.module)),
            f"{row.relative_norm:.2e}",
            "-" if row.effective_rank is None else f"{row.effective_rank:.1f}",
            "-" if row.stable_rank is None else f"{row.stable_rank:.1f}",
            "-" if row.share_changed is None else f"{row.share_changed:.1%}",
            *(_intruders(row) if turned else ()),
        )
    if turned:
        table.caption = f"{table.caption}; intruders: cosine below {_THRESHOLD:g} with every direction of the base (arXiv:2410.21228)"
    return table


def _intruders(row: UpdateRow) -> tuple[str, str]:
    """Of the leading directions, how many resemble none of the base's; and as many as a random update of that norm gives."""
    if row.directions is None:
        return "-", "-"
    own, random = row.directions.intruders, row.directions.random_intruders
    place = min(range(len(own.thresholds)), key=lambda place: abs(own.thresholds[place] - _THRESHOLD))
    return (
        f"{own.left[place]}, {own.right[place]} of {own.k}",
        f"{random.left[place]}, {random.right[place]}",
    )
