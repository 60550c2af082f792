"""Drift by layer of models that are compared outside a study: a line with its interval for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunescope.drift.row import DriftRow
from tunescope.errors import TunescopeError
from tunescope.report.content.chart import Axis, Point, Series, XYChart
from tunescope.report.figures.draw import draw_chart
from tunescope.study.drift import DRIFT_MEASURE


def draw_layers(rows: Sequence[DriftRow], path: Path, *, pooling: str) -> None:
    """One minus the debiased CKA of every layer, from the embeddings to the output, with 95% intervals over examples.

    Args:
        rows: Of one base model and task.
        path: An .svg, .pdf or .png.
        pooling: Of which pooled states.

    Raises:
        TunescopeError: If no layer has a value, or the file cannot be written.
    """
    own_layers = [
        row for row in rows if row.measure == DRIFT_MEASURE and row.pooling == pooling and row.state == row.other_state
    ]
    shown = [row for row in own_layers if row.value is not None]
    if not shown:
        raise TunescopeError(
            f"--figure {path}: nothing to draw: no layer has a debiased CKA with the same layer of the other."
        )
    compared = tuple(dict.fromkeys(row.compared for row in shown))
    states = dict.fromkeys(tick_of(row.state) for row in own_layers)
    chart = XYChart(
        id="layers",
        title="Drift by layer",
        x=Axis(label="layer", categories=tuple(states)),
        y=Axis(label="1 - debiased CKA"),
        series=tuple(
            Series(
                name=name,
                method=name,
                style="line and marks",
                points=tuple(_point(row) for row in shown if row.compared == name),
            )
            for name in compared
        ),
    )
    draw_chart(chart, path, compared)


def tick_of(state: str) -> str:
    """A short name under the axis: emb, 1, 2, ..., norm."""
    if state.startswith("block_"):
        return str(int(state.removeprefix("block_")))
    return {"embeddings": "emb", "final_norm": "norm"}.get(state, state)


def _point(row: DriftRow) -> Point:
    assert row.value is not None
    return Point(
        x=tick_of(row.state),
        y=1.0 - row.value,
        low=None if row.ci_high is None else 1.0 - row.ci_high,
        high=None if row.ci_low is None else 1.0 - row.ci_low,
    )
