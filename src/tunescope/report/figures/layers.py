"""Drift by layer: a line with its interval for each model that is compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunescope.drift.row import DriftRow
from tunescope.errors import TunescopeError
from tunescope.report.figures.style import COLOURS, COLUMN_WIDTH_IN, save, styled
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
    states = list(dict.fromkeys(row.state for row in own_layers))
    if not shown:
        raise TunescopeError(
            f"--figure {path}: nothing to draw: no layer has a debiased CKA with the same layer of the other."
        )
    with styled():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(COLUMN_WIDTH_IN, 0.62 * COLUMN_WIDTH_IN))
        axes = figure.subplots()
        compared = list(dict.fromkeys(row.compared for row in shown))
        for number, name in enumerate(compared):
            own = [row for row in shown if row.compared == name]
            places = [states.index(row.state) for row in own]
            values = [1.0 - row.value for row in own if row.value is not None]
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(places, values, marker="o", markersize=2.5, color=colour, label=name)
            if all(row.ci_low is not None and row.ci_high is not None for row in own):
                low = [1.0 - (row.ci_high or 0.0) for row in own]
                high = [1.0 - (row.ci_low or 0.0) for row in own]
                axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set_xticks(range(len(states)), [_tick(state) for state in states])
        axes.tick_params(axis="x", rotation=90 if len(states) > 14 else 0)
        axes.set_xlabel("layer")
        axes.set_ylabel("1 - debiased CKA")
        if len(compared) > 1:
            axes.legend()
        save(figure, path)


def _tick(state: str) -> str:
    """A short name under the axis: emb, 1, 2, ..., norm."""
    if state.startswith("block_"):
        return str(int(state.removeprefix("block_")))
    return {"embeddings": "emb", "final_norm": "norm"}.get(state, state)
