"""Legends: as many columns as the width bears, the figure taller by what they take."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tunescope.report.figures.legend import add_legend
from tunescope.report.figures.style import COLUMN_WIDTH_IN, styled


def _figure(names):
    with styled():
        figure = Figure(figsize=(COLUMN_WIDTH_IN, 2.0), layout="constrained")
        figure.subplots()
        add_legend(figure, {name: Line2D([], []) for name in names})
        figure.draw_without_rendering()
    return figure


def test_short_names_share_a_line_and_long_ones_have_their_own():
    short, long = _figure(["full", "lora", "ia3"]), _figure([f"a control with a long name {n}" for n in range(3)])
    assert short.get_figheight() < long.get_figheight()
    heights = [figure.legends[0].get_window_extent().height for figure in (short, long)]
    assert 2.0 < heights[1] / heights[0] < 4.0


def test_it_is_never_wider_than_the_column():
    for names in (["a" * 200], [f"name {n}" for n in range(30)], ["short", "x" * 47, "y"]):
        figure = _figure(names)
        box = figure.legends[0].get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        assert box.width <= COLUMN_WIDTH_IN
        assert [text.get_text().replace("\n", "") for text in figure.legends[0].get_texts()] == names


def test_no_names_no_legend():
    figure = _figure([])
    assert not figure.legends
    assert figure.get_figheight() == 2.0
