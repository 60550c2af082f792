"""A chart of a report -> a Matplotlib figure at column width, and a file of it for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunescope.report.content.chart import Chart, HeatMap
from tunescope.report.figures.heat import heat_figure
from tunescope.report.figures.style import save, styled
from tunescope.report.figures.xy import xy_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def chart_figure(chart: Chart, methods: Sequence[str], *, is_titled: bool = True) -> Figure:
    """A chart as a figure, 3.4 inches wide, its legend under the axes.

    Args:
        chart: What to draw.
        methods: The study's methods in its order, which gives each its colour and mark.
        is_titled: Whether the title stands above it; in a paper the caption says it.

    Raises:
        ValueError: If there is nothing to draw, or the chart contradicts itself (see `xy_figure` and `heat_figure`).
    """
    with styled():
        figure = heat_figure(chart) if isinstance(chart, HeatMap) else xy_figure(chart, methods)
        if is_titled:
            _add_title(figure, chart.title)
    return figure


def draw_chart(chart: Chart, path: Path, methods: Sequence[str]) -> None:
    """Writes a chart, without its title, as SVG, PDF or PNG; the same chart gives the same bytes.

    Args:
        chart: What to draw.
        path: An .svg, .pdf or .png in a folder that exists.
        methods: The study's methods in its order, which gives each its colour and mark.

    Raises:
        ValueError: As `chart_figure`.
        TunescopeError: If the ending names no format, or the file cannot be written.
    """
    figure = chart_figure(chart, methods, is_titled=False)
    with styled():
        save(figure, path, title=chart.title)


def _add_title(figure: Figure, title: str) -> None:
    from tunescope.report.figures.style import COLUMN_WIDTH_IN, TEXT_POINTS
    from tunescope.report.figures.ticks import lines_of

    text = lines_of(title, 72 * COLUMN_WIDTH_IN)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.08 + (text.count("\n") + 1) * 1.3 * TEXT_POINTS / 72)
    figure.suptitle(text, x=0.01, ha="left", fontsize=TEXT_POINTS)
