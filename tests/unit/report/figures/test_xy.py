"""Series over axes: marks, lines, intervals and names where they belong, and charts that contradict themselves."""

from __future__ import annotations

import pytest

from tunescope.report.content.chart import Axis, Band, Level, Point, Series, XYChart
from tunescope.report.figures.xy import xy_figure

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


def _texts(figure):
    figure.draw_without_rendering()
    axes = figure.axes[0]
    return {
        "x": [label.get_text() for label in axes.get_xticklabels()],
        "y": [label.get_text() for label in axes.get_yticklabels()],
        "legend": [text.get_text() for legend in figure.legends for text in legend.get_texts()],
    }


def test_methods_keep_their_colour_when_others_are_left_out():
    def colour(chart):
        lines = [line for line in xy_figure(chart, METHODS).axes[0].lines if line.get_zorder() == 4]
        return lines[-1].get_color()

    both = _xy(_series("full", [Point(x=1, y=1)]), _series("lora", [Point(x=1, y=2)]))
    assert colour(both) == colour(_xy(_series("lora", [Point(x=1, y=2)]))) == "#D55E00"


def test_legend_lists_each_name_once_methods_first_and_levels_with_their_value():
    control = Series(name="bf16", role="control", points=(Point(x="mrpc", y=0.5),))
    chart = _xy(control, *SCORES.series, x=SCORES.x, bands=SCORES.bands, levels=SCORES.levels)
    assert _texts(xy_figure(chart, METHODS))["legend"] == [
        "full",
        "lora",
        "bf16",
        "expected: 0.85 to 0.9",
        "majority: 0.66",
    ]


def test_a_name_that_stands_on_the_axis_is_not_in_the_legend():
    chart = _xy(
        *(_series(method, [Point(x=method, y=1.0)]) for method in METHODS), x=Axis(label="", categories=METHODS)
    )
    figure = xy_figure(chart, METHODS)
    assert _texts(figure)["x"] == ["full", "lora"]
    assert not figure.legends


def test_names_that_do_not_fit_go_down_the_side_first_on_top():
    tasks = tuple(f"a_task_of_number_{n}" for n in range(12))
    chart = _xy(_series("full", [Point(x=task, y=1.0) for task in tasks]), x=Axis(label="task", categories=tasks))
    figure = xy_figure(chart, METHODS)
    assert _texts(figure)["y"] == list(tasks)
    low, high = figure.axes[0].get_ylim()
    assert low > high
    assert figure.axes[0].get_xlabel() == "score"


def test_a_line_breaks_where_a_category_has_no_point():
    layers = ("emb", "1", "2", "3")
    points = [Point(x=layer, y=0.1) for layer in layers if layer != "2"]
    figure = xy_figure(_xy(_series("full", points, style="line"), x=Axis(label="layer", categories=layers)), METHODS)
    drawn = figure.axes[0].lines[0].get_ydata()
    assert [value == value for value in drawn] == [True, True, False, True]


def test_intervals_are_ribbons_along_stretches_and_bars_elsewhere():
    has = [Point(x=x, y=1.0, low=0.5, high=1.5) for x in (1, 2)]
    chart = _xy(_series("full", [*has, Point(x=3, y=1.0), Point(x=4, y=1.0, low=0.8, high=1.2)], style="line"))
    axes = xy_figure(chart, METHODS).axes[0]
    bars = [
        segment
        for collection in axes.collections
        if hasattr(collection, "get_segments")
        for segment in collection.get_segments()
    ]
    assert [[list(end) for end in bar] for bar in bars] == [[[4.0, 0.8], [4.0, 1.2]]]
    assert any(path.vertices[:, 0].max() == 2.0 for c in axes.collections for path in c.get_paths())


def test_a_lone_point_of_a_line_is_seen():
    axes = xy_figure(_xy(_series("full", [Point(x=3, y=1.0)], style="line")), METHODS).axes[0]
    assert axes.lines[0].get_marker() == "o"


@pytest.mark.parametrize(
    "chart,told",
    [
        (_xy(_series("full", [])), "no series has a point"),
        (_xy(_series("other", [Point(x=1, y=1)])), "'other' is none of"),
        (_xy(Series(name="a", points=(Point(x=1, y=1),))), "does not say which"),
        (_xy(_series("full", [Point(x="a", y=1)])), "has no categories"),
        (_xy(_series("full", [Point(x="a", y=1)]), x=Axis(label="x", categories=("b",))), "none of the categories"),
        (
            _xy(_series("full", [Point(x=0, y=1)]), x=Axis(label="rate", scale="log")),
            "rate has a log axis and the value 0",
        ),
        (_xy(_series("full", [Point(x=1, y=1, low=-1, high=2)]), y=Axis(label="y", scale="log")), "the value -1"),
    ],
)
def test_a_chart_that_contradicts_itself_is_told(chart, told):
    with pytest.raises(ValueError, match=told):
        xy_figure(chart, METHODS)
