"""Charts as figures: the same bytes for the same chart, everything in its place, nothing outside the column, no text read as markup."""

from __future__ import annotations

import warnings

import pytest

from report_content import made_report, nasty_report
from tunescope.report.content.chart import Axis, Band, HeatMap, Level, Point, Series, XYChart
from tunescope.report.figures.draw import chart_figure, draw_chart
from tunescope.report.figures.style import COLUMN_WIDTH_IN

METHODS = ("full", "lora")


def _series(method, points, **more):
    return Series(name=method, method=method, points=tuple(points), **more)


def _xy(*series, **more):
    given = {"id": "c", "title": "A title", "x": Axis(label="x"), "y": Axis(label="score")} | more
    return XYChart(series=series, **given)


SCORES = _xy(
    _series("full", [Point(x="mrpc", y=0.8, low=0.7, high=0.9), Point(x="rte", y=0.6)]),
    _series("lora", [Point(x="mrpc", y=0.75, low=0.7, high=0.8)]),
    _series("lora", [Point(x="mrpc", y=0.74), Point(x="mrpc", y=0.76)], is_faint=True),
    x=Axis(label="task", categories=("mrpc", "rte")),
    bands=(Band(name="expected", low=0.85, high=0.9),),
    levels=(Level(name="majority", value=0.66),),
)
PAIRS = HeatMap(
    id="pairs",
    title="Pairs",
    x_label="layer of lora",
    y_label="layer of the base model",
    columns=("emb", "1"),
    rows=("emb", "1"),
    values=((1.0, 0.5), (None, 0.25)),
    value_label="CKA",
)


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
@pytest.mark.parametrize("chart", [SCORES, PAIRS], ids=("xy", "heat map"))
def test_the_same_chart_gives_the_same_bytes(chart, ending, tmp_path):
    for name in ("a", "b"):
        draw_chart(chart, tmp_path / f"{name}.{ending}", METHODS)
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    assert first == second
    assert len(first) > 2000


def test_every_chart_of_a_report_is_a_column_wide_and_holds_its_legend_and_labels(tmp_path):
    for report in (made_report(), made_report(tasks=tuple(f"task_{n}" for n in range(40)), seeds=(1,))):
        for chart in (chart for section in report.sections for chart in section.charts):
            figure = chart_figure(chart, report.methods)
            figure.draw_without_rendering()
            width, height = figure.get_size_inches()
            assert width == COLUMN_WIDTH_IN
            inside = figure.get_tightbbox()
            assert inside.x0 >= -0.02, chart.id
            assert inside.x1 <= width + 0.02, chart.id
            assert inside.y0 >= -0.02, chart.id
            assert inside.y1 <= height + 0.02, chart.id
            for legend in figure.legends:
                box = legend.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
                axes = figure.axes[0].get_tightbbox().transformed(figure.dpi_scale_trans.inverted())
                assert box.y1 <= axes.y0 + 0.02, f"{chart.id}: the legend lies over the axes"


def test_names_of_users_are_text_and_letters_without_a_glyph_are_no_noise(tmp_path):
    report = nasty_report()
    chart = next(chart for section in report.sections for chart in section.charts if chart.id.startswith("tradeoff"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_chart(chart, tmp_path / "a.svg", report.methods)
        draw_chart(chart, tmp_path / "a.png", report.methods)
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_title_stands_above_unless_it_is_for_a_paper(tmp_path):
    assert chart_figure(SCORES, METHODS).get_suptitle() == "A title"
    assert chart_figure(SCORES, METHODS, is_titled=False).get_suptitle() == ""
    draw_chart(SCORES, tmp_path / "a.svg", METHODS)
    assert "<dc:title>A title</dc:title>" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_dollar_begins_no_formula(tmp_path):
    chart = _xy(_series("full", [Point(x=1, y=1)]), levels=(Level(name="$x_1$ costs $2", value=1.5),))
    draw_chart(chart, tmp_path / "a.svg", METHODS)
    assert "$x_1$ costs $2: 1.5" in (tmp_path / "a.svg").read_text(encoding="utf-8")
