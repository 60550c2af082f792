"""Looks of a chart's series: greys apart from each other, faint series as the mean they stand behind."""

from __future__ import annotations

from tunescope.report.colours import GREYS
from tunescope.report.content.chart import Axis, Level, Point, Series, XYChart
from tunescope.report.figures.looks import looks_of, mean_of

POINT = (Point(x=1, y=1),)
SEEDS = Series(name="seeds", role="control", points=POINT)
BF16 = Series(name="bf16", role="control", points=POINT)
FAINT_BF16 = Series(name="bf16", role="control", points=POINT, is_faint=True)
LORA = Series(name="lora", method="lora", points=POINT)
FAINT_LORA = Series(name="lora, seed 1", method="lora", points=POINT, is_faint=True)
CHART = XYChart(
    id="c",
    title="",
    x=Axis(label=""),
    y=Axis(label=""),
    series=(SEEDS, FAINT_BF16, BF16, LORA, FAINT_LORA),
    levels=(Level(name="majority", value=1.0),),
)


def test_a_faint_control_belongs_to_the_control_of_its_name():
    assert mean_of(FAINT_BF16, CHART.series) == "bf16"
    assert mean_of(FAINT_LORA, CHART.series) == "lora"
    assert mean_of(FAINT_LORA, (FAINT_LORA,)) == "lora, seed 1"


def test_greys_differ_and_methods_have_their_colour():
    looks = looks_of(CHART, ("full", "lora"))
    assert looks["lora"] == looks["lora, seed 1"]
    assert looks["lora"].colour == "#D55E00"
    greys = [looks[name] for name in ("seeds", "bf16", "majority")]
    assert len({(look.colour, look.dash) for look in greys}) == 3
    assert all(look.colour in GREYS for look in greys)
