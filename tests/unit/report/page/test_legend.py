from tunescope.report.content.chart import Axis, Band, Level, Point, Series, XYChart
from tunescope.report.page.legend import legend

POINTS = (Point(x=0, y=1.0),)


def test_entries_are_series_then_levels_then_bands_with_seeds_under_their_mean() -> None:
    chart = XYChart(
        id="c",
        title="C",
        x=Axis(label="x"),
        y=Axis(label="y"),
        series=(
            Series(name="noise", role="control", points=POINTS, style="line"),
            Series(name="lora, single seeds", method="lora", points=POINTS, is_faint=True),
            Series(name="lora", method="lora", points=POINTS, style="line and marks"),
        ),
        levels=(Level(name="majority", value=68.375),),
        bands=(Band(name="expected", low=85, high=90.5),),
    )
    entries = legend(chart, ("full", "lora"))
    assert [(one.kind, one.name, one.series) for one in entries] == [
        ("series", "lora", (2, 1)),
        ("series", "noise", (0,)),
        ("level", "majority: 68.38", ()),
        ("band", "expected: 85 to 90.5", ()),
    ]
    assert (entries[0].has_line, entries[0].has_mark, entries[0].look.colour) == (True, True, "#D55E00")
    assert (entries[1].has_line, entries[1].has_mark) == (True, False)
    looks = [(one.look.colour, one.look.dash) for one in entries[1:3]]
    assert looks[0] != looks[1]


def test_seeds_without_a_mean_have_an_entry_of_their_own() -> None:
    seeds = Series(name="full", method="full", points=POINTS, is_faint=True)
    chart = XYChart(id="c", title="C", x=Axis(label="x"), y=Axis(label="y"), series=(seeds,))
    assert [(one.name, one.series) for one in legend(chart, ("full",))] == [("full", (0,))]
