"""Numbers as they are shown."""

from __future__ import annotations

import doctest

import pytest

from tunescope.report.content import anchors, numbers


def test_the_examples_of_the_docstrings():
    assert doctest.testmod(numbers).failed == 0
    assert doctest.testmod(anchors).failed == 0


@pytest.mark.parametrize(
    "value, measure, shown",
    [
        (0.7194, "accuracy", "71.9"),
        (-0.00001, "matthews", "0.0"),
        (0.123456, "mse", "0.123"),
        (0.00012, "drift", "0.00012"),
        (1234.5, "train_s", "1,234"),
    ],
)
def test_a_value_in_its_measures_unit(value, measure, shown):
    assert numbers.value_of(value, measure) == shown


@pytest.mark.parametrize(
    "value, measure, shown",
    [(-0.0041, "accuracy", "-0.4"), (-0.0001, "f1", "+0.0"), (0.196, "drift", "+0.196"), (-40.0, "train_s", "-40")],
)
def test_a_difference_has_its_sign_and_never_a_negative_nought(value, measure, shown):
    assert numbers.difference_of(value, measure) == shown


@pytest.mark.parametrize(
    "value, shown",
    [(1 / 304.9, "1/300"), (1 / 897, "1/900"), (0.5999, "0.6"), (1.0, "1.0"), (9.96, "10"), (12345.0, "12,000")],
)
def test_ratios_have_two_digits(value, shown):
    assert numbers.ratio(value) == shown


def test_what_is_not_there_is_no_number():
    cell = numbers.score_cell(None, "accuracy", anchor="row-1")
    assert (cell.shown, cell.value, cell.tone) == (numbers.NOTHING, None, "faint")
    assert numbers.interval_of(None, 0.1, "accuracy") == ""


def test_a_cell_keeps_the_unrounded_value():
    assert numbers.score_cell(0.71936, "accuracy").value == 0.71936
    assert numbers.difference_cell(-0.01961, "accuracy").shown == "-2.0"


def test_base_models_keep_their_owner_where_it_tells_them_apart():
    assert numbers.model_names(["a/x", "b/y"]) == {"a/x": "x", "b/y": "y"}
    assert numbers.model_names(["a/x", "b/x"]) == {"a/x": "a/x", "b/x": "b/x"}


def test_degrees_of_freedom_are_not_told_of_many_intervals():
    assert (
        numbers.interval_method("t over seeds x examples (crossed model), df 6.32")
        == "t over seeds x examples (crossed model)"
    )
