import plotly.graph_objects as go
import pytest

from report_content import SCRIPT, made_report, nasty_report
from tunescope.report.content.chart import Axis, Chart, HeatMap, Level, Point, Series, XYChart
from tunescope.report.page.plotly import (
    CROWDED_OPACITY,
    FAINT_OPACITY,
    dark_colours,
    least_width_px,
    plotly_spec,
)

METHODS = ("full", "lora")


def _charts(report) -> list[Chart]:  # type: ignore[no-untyped-def]
    return [chart for section in report.sections for chart in section.charts]


def _chart(*series: Series, x: Axis | None = None, y: Axis | None = None, levels: tuple[Level, ...] = ()) -> XYChart:
    return XYChart(
        id="c", title="C", x=x or Axis(label="step"), y=y or Axis(label="loss"), series=series, levels=levels
    )


def _line(name: str, points: tuple[Point, ...], **changes) -> Series:  # type: ignore[no-untyped-def]
    return Series(**({"name": name, "points": points, "method": name, "style": "line"} | changes))


@pytest.mark.parametrize("report", [made_report(), nasty_report()], ids=("ordinary", "nasty"))
def test_plotly_accepts_every_spec(report) -> None:  # type: ignore[no-untyped-def]
    for chart in _charts(report):
        spec = plotly_spec(chart, report.methods)
        go.Figure(data=spec["data"], layout=spec["layout"])  # raises ValueError at what it does not know


def test_a_methods_colour_is_the_same_in_every_chart() -> None:
    report = made_report()
    colours = {
        (trace["meta"]["name"].split()[0], trace["line"]["color"])
        for chart in _charts(report)
        if isinstance(chart, XYChart)
        for trace in plotly_spec(chart, report.methods)["data"]
        if "meta" in trace
    }
    assert {colour for name, colour in colours if name == "full"} == {"#0072B2"}
    assert {colour for name, colour in colours if name == "lora"} == {"#D55E00"}


def test_marks_of_methods_stand_beside_each_other_and_seeds_beside_their_mean() -> None:
    x = Axis(label="", categories=("mrpc", "rte"))
    marks = [Series(name=m, method=m, points=(Point(x="mrpc", y=1.0), Point(x="rte", y=2.0))) for m in METHODS]
    seeds = Series(name="full seeds", method="full", points=(Point(x="rte", y=2.5),), is_faint=True)
    data = {trace["meta"]["name"]: trace for trace in plotly_spec(_chart(*marks, seeds, x=x), METHODS)["data"]}
    assert data["full"]["x"] == [-0.085, 0.915]
    assert data["lora"]["x"] == [0.085, 1.085]
    assert data["full seeds"]["x"][0] < data["full"]["x"][1]
    assert [round(place) for trace in data.values() for place in trace["x"]] == [1, 0, 1, 0, 1]
    assert data["full seeds"]["opacity"] == FAINT_OPACITY
    assert data["full seeds"]["legendgroup"] == data["full"]["legendgroup"] != data["lora"]["legendgroup"]


def test_marks_stay_in_the_middle_where_no_category_has_two() -> None:
    x = Axis(label="", categories=METHODS)
    marks = [Series(name=m, method=m, points=(Point(x=m, y=1.0),)) for m in METHODS]
    data = plotly_spec(_chart(*marks, x=x), METHODS)["data"]
    assert {trace["meta"]["name"]: trace["x"] for trace in data} == {"full": [0.0], "lora": [1.0]}


def test_an_interval_of_a_mark_is_a_bar_and_of_a_line_a_ribbon() -> None:
    points = (Point(x=0, y=1.0, low=0.5, high=2.0), Point(x=1, y=2.0, low=1.5, high=2.5))
    (mark,) = plotly_spec(_chart(_line("full", points, style="marks")), METHODS)["data"]
    assert (mark["error_y"]["array"], mark["error_y"]["arrayminus"]) == ([1.0, 0.5], [0.5, 0.5])
    low, high, line = plotly_spec(_chart(_line("full", points)), METHODS)["data"]
    assert (low["y"], high["y"], high["fill"], "error_y" in line) == ([0.5, 1.5], [2.0, 2.5], "tonexty", False)
    assert line["customdata"] == [[0.5, 2.0, "", ""], [1.5, 2.5, "", ""]]


def test_a_ribbon_breaks_where_a_point_has_no_interval() -> None:
    points = tuple(Point(x=n, y=1.0, **({} if n == 2 else {"low": 0.5, "high": 1.5})) for n in range(6))
    spec = plotly_spec(_chart(_line("full", points)), METHODS)
    assert [trace["x"] for trace in spec["data"] if "meta" not in trace] == [[0, 1], [0, 1], [3, 4, 5], [3, 4, 5]]


def test_many_ribbons_are_fainter() -> None:
    points = (Point(x=0, y=1.0, low=0.5, high=2.0), Point(x=1, y=2.0, low=1.5, high=2.5))
    methods = tuple(f"m{n}" for n in range(6))
    spec = plotly_spec(_chart(*(_line(name, points) for name in methods)), methods)
    fills = [trace["fillcolor"] for trace in spec["data"] if "fillcolor" in trace]
    assert fills
    assert all(fill.endswith(f",{CROWDED_OPACITY})") for fill in fills)


def test_the_y_axis_holds_marks_intervals_and_levels() -> None:
    line = _line("full", (Point(x=0, y=10.0, low=5.0, high=12.0),))
    low, high = plotly_spec(_chart(line, levels=(Level(name="majority", value=25.0),)), METHODS)["layout"]["yaxis"][
        "range"
    ]
    assert (low, high) == (4.0, 26.0)


@pytest.mark.parametrize("y", [0.0, 7.0])
def test_the_y_axis_has_height_where_all_values_are_one(y: float) -> None:
    low, high = plotly_spec(_chart(_line("full", (Point(x=0, y=y),))), METHODS)["layout"]["yaxis"]["range"]
    assert low < y < high


@pytest.mark.parametrize("rates,dtick", [((1e-5, 1e-2), 1), ((1e-5, 9e-4), "D2")])
def test_ticks_of_a_log_axis(rates: tuple[float, float], dtick: object) -> None:
    line = _line("full", tuple(Point(x=rate, y=1.0) for rate in rates))
    axis = plotly_spec(_chart(line, x=Axis(label="rate", scale="log")), METHODS)["layout"]["xaxis"]
    assert (axis["type"], axis["dtick"]) == ("log", dtick)


def test_names_are_escaped_where_plotly_reads_markup() -> None:
    x = Axis(label=SCRIPT, categories=(SCRIPT,))
    chart = _chart(Series(name=SCRIPT, method="full", points=(Point(x=SCRIPT, y=1.0, text=SCRIPT),)), x=x)
    spec = plotly_spec(chart, METHODS)
    axis = spec["layout"]["xaxis"]
    assert axis["title"]["text"].startswith("&lt;script&gt;")
    assert axis["ticktext"][0].startswith("&lt;script&gt;")
    assert spec["data"][0]["meta"]["name"] == SCRIPT  # raw: the page's script escapes it


def test_a_heat_map_has_its_first_row_on_top_and_blanks() -> None:
    chart = HeatMap(
        id="h",
        title="H",
        x_label="x",
        y_label="y",
        columns=("a", "b"),
        rows=("c", "d"),
        values=((1.0, None), (0.25, 0.5)),
        value_label="CKA",
        limits=(0.0, 1.0),
    )
    spec = plotly_spec(chart, METHODS)
    trace, layout = spec["data"][0], spec["layout"]
    assert (trace["z"], trace["zmin"], trace["zmax"]) == ([[1.0, None], [0.25, 0.5]], 0.0, 1.0)
    assert (layout["yaxis"]["autorange"], layout["yaxis"]["ticktext"]) == ("reversed", ["c", "d"])


def test_every_colour_that_must_change_on_a_dark_ground_does() -> None:
    dark = dark_colours()
    assert dark["#000000"] == "#F2F2F2"
    assert dark["#FFFFFF"] != "#FFFFFF"
    assert "#0072B2" not in dark


def test_charts_of_many_categories_ask_for_width() -> None:
    few, many = ({"x": Axis(label="", categories=tuple(map(str, range(n))))} for n in (5, 40))
    marks = Series(name="full", method="full", points=(Point(x="0", y=1.0),))
    assert least_width_px(_chart(marks, **few)) == 0
    assert least_width_px(_chart(marks, **many)) > 900


def test_a_method_of_no_study_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the study's methods"):
        plotly_spec(_chart(_line("dora", (Point(x=0, y=1.0),))), METHODS)
