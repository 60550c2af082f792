"""Heat maps: the first row on top, blanks left blank, values written where they fit."""

from __future__ import annotations

import pytest

from tunescope.report.content.chart import HeatMap
from tunescope.report.figures.heat import heat_figure

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


def test_heat_map_begins_on_top_and_leaves_blank_what_has_no_value():
    figure = heat_figure(PAIRS)
    axes = figure.axes[0]
    assert axes.yaxis_inverted()
    assert [text.get_text() for text in axes.texts] == ["1.00", "0.50", "0.25"]
    assert axes.collections[0].get_array().mask.tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize(
    "chart,told",
    [
        (HeatMap(**(vars(PAIRS) | {"values": ((1.0, 2.0),)})), "do not fit its values"),
        (HeatMap(**(vars(PAIRS) | {"values": ((None, None), (None, None))})), "no cell has a value"),
    ],
)
def test_a_heat_map_that_contradicts_itself_is_told(chart, told):
    with pytest.raises(ValueError, match=told):
        heat_figure(chart)


def test_numbers_that_do_not_fit_are_not_written():
    many = tuple(str(number) for number in range(30))
    chart = HeatMap(**(vars(PAIRS) | {"columns": many, "rows": many, "values": ((0.5,) * 30,) * 30}))
    axes = heat_figure(chart).axes[0]
    assert not axes.texts
    assert axes.get_xticklabels()[0].get_text() == "0"
    assert axes.get_xticklabels()[-1].get_text() == "29"


def test_limits_are_the_ends_of_the_colours():
    mesh = heat_figure(HeatMap(**(vars(PAIRS) | {"limits": (0.0, 2.0)}))).axes[0].collections[0]
    assert mesh.get_clim() == (0.0, 2.0)
    assert heat_figure(PAIRS).axes[0].collections[0].get_clim() == (0.25, 1.0)
