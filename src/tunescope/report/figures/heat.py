"""A heat map on axes: the first row on top, as in a table; what has no value stays blank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunescope.report.content.chart import HeatMap
from tunescope.report.figures.style import COLUMN_WIDTH_IN, SMALL_POINTS
from tunescope.report.figures.ticks import all_shortened, lines_of, set_numbers, thinned, width_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOUR_SCALE = "viridis"
"""Grows evenly in lightness, for colour-blind readers and black-and-white print; the page's too."""
_MAX_ROW_NAME_POINTS = 90.0
_MAX_HEIGHT_IN = 6.0
_CELL_POINTS = 6.0
"""Size of the numbers in cells."""
_MAX_WRITTEN_ROWS = 16


def heat_figure(chart: HeatMap) -> Figure:
    """Draws a heat map; see `figures.draw`.

    Raises:
        ValueError: If there is no value at all, or rows and columns do not fit the values.
    """
    import numpy as np
    from matplotlib.figure import Figure

    if (len(chart.values), *{len(row) for row in chart.values}) != (len(chart.rows), len(chart.columns)):
        raise ValueError(
            f"chart {chart.id}: {len(chart.rows)} rows and {len(chart.columns)} columns do not fit its values"
        )
    values = np.array(chart.values, dtype=float)  # None becomes NaN
    if np.isnan(values).all():
        raise ValueError(f"chart {chart.id}: no cell has a value")
    names = all_shortened(chart.rows, _MAX_ROW_NAME_POINTS)
    beside = max(map(width_points, names)) / 72 + 0.95  # the rows' label, the colours and theirs
    plot_width = COLUMN_WIDTH_IN - beside
    cell = plot_width / len(chart.columns)
    if not 0.5 <= len(chart.rows) / len(chart.columns) <= 2.0:
        cell = 1.3 * SMALL_POINTS / 72  # long lists of names: a line of text each
    plot_height = min(max(len(chart.rows) * cell, 0.7), _MAX_HEIGHT_IN)
    columns = all_shortened(chart.columns, 60.0)
    shown = thinned(columns, 72 * plot_width)
    is_upright = len(shown) < len(columns) and not all(name.isdigit() or len(name) < 5 for name in chart.columns)
    if is_upright:
        shown = thinned(columns, 72 * plot_width, size_of_each=1.2 * SMALL_POINTS)
    under = 0.42 + (max(width_points(name) for _, name in shown) / 72 if is_upright else 0.0)

    figure = Figure(figsize=(COLUMN_WIDTH_IN, plot_height + under), layout="constrained")
    axes = figure.subplots()
    low, high = chart.limits if chart.limits is not None else (float(np.nanmin(values)), float(np.nanmax(values)))
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values), cmap=COLOUR_SCALE, vmin=low, vmax=high, edgecolors="face", linewidth=0.2
    )
    axes.invert_yaxis()
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, pad=2)
    axes.set_xticks([place + 0.5 for place, _ in shown], [name for _, name in shown], rotation=90 if is_upright else 0)
    rows = thinned(names, 72 * plot_height, size_of_each=1.1 * SMALL_POINTS)
    axes.set_yticks([place + 0.5 for place, _ in rows], [name for _, name in rows])
    axes.set_xlabel(lines_of(chart.x_label, 72 * plot_width))
    axes.set_ylabel(lines_of(chart.y_label, 72 * plot_height))
    colours = figure.colorbar(mesh, ax=axes, aspect=18, pad=0.03)
    colours.outline.set_visible(False)
    colours.ax.tick_params(length=2, pad=2)
    colours.set_label(lines_of(chart.value_label, 72 * max(plot_height, 1.0)))
    if low < high:
        set_numbers(colours.ax, "y", "linear")
    _write_values(axes, chart, low, high, 72 * plot_width / len(chart.columns))
    return figure


def _write_values(axes: Axes, chart: HeatMap, low: float, high: float, cell_points: float) -> None:
    """Writes each cell's value into it, where there are few rows and the numbers fit."""
    texts = {
        (row, column): _written(value, low, high)
        for row, line in enumerate(chart.values)
        for column, value in enumerate(line)
        if value is not None
    }
    widest = max(map(width_points, texts.values())) * _CELL_POINTS / SMALL_POINTS
    if len(chart.rows) > _MAX_WRITTEN_ROWS or widest + 3.0 > cell_points:
        return
    for (row, column), text in texts.items():
        value = chart.values[row][column]
        assert value is not None
        is_light = high > low and (value - low) / (high - low) > 0.6
        ink = "#000000" if is_light else "#FFFFFF"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=_CELL_POINTS, color=ink)


def _written(value: float, low: float, high: float) -> str:
    """A value with the decimals that the range of the colours calls for."""
    size = max(abs(low), abs(high))
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no "-0.0"
