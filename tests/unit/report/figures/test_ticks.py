"""What stands along axes: numbers short and right, names that differ still differ when cut, no more than fit."""

from __future__ import annotations

import pytest

from tunescope.report.figures.ticks import all_shortened, do_fit, shortened, shown_number, thinned, width_points


@pytest.mark.parametrize(
    "value,shown",
    [
        (0.0, "0"),
        (0.05, "0.05"),
        (0.1 + 0.2, "0.3"),
        (1234567.0, "1.23457e6"),
        (2e-5, "2e-5"),
        (-0.4, "\N{MINUS SIGN}0.4"),
        (999.5, "999.5"),
        (12000, "12,000"),
    ],
)
def test_numbers(value, shown):
    assert shown_number(value) == shown


def test_a_log_axis_writes_powers_of_ten():
    assert [shown_number(value, plain=(1e-2, 1e5)) for value in (1e-3, 0.01, 1e4, 1e5)] == [
        "1e-3",
        "0.01",
        "10,000",
        "1e5",
    ]


def test_a_name_is_cut_in_its_middle_and_no_wider_than_asked():
    name = "encoder.layer.11.attention.self.query"
    short = shortened(name, 60.0)
    assert width_points(short) <= 60.0
    assert short.startswith("enc")
    assert short.endswith("uery")
    assert shortened("query", 60.0) == "query"


def test_what_all_names_begin_with_goes_first():
    names = [f"encoder.layer.{n}.attention.self.query" for n in (1, 10, 2)]
    assert all_shortened(names, 110.0) == [f"\N{HORIZONTAL ELLIPSIS}{n}.attention.self.query" for n in (1, 10, 2)]
    assert all_shortened(["a.b", "a.c"], 110.0) == ["a.b", "a.c"]


def test_names_that_do_not_fit_are_thinned_with_first_and_last_kept():
    names = ["emb", *map(str, range(1, 33)), "norm"]
    shown = thinned(names, 200.0)
    places = [place for place, _ in shown]
    assert (places[0], places[-1]) == (0, 33)
    assert len(shown) <= 200.0 / (width_points("norm") + 4.0) + 1
    assert all(names[place] == name for place, name in shown)
    assert thinned(["a", "b"], 200.0) == [(0, "a"), (1, "b")]
    assert not do_fit(names, 200.0)
