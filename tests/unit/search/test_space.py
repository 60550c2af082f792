"""Lists, ranges and conditions: what they hold, what they refuse, and the grid they span."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from tunescope.search.space import Choice, Range, grid, is_searched, typical


@pytest.mark.parametrize(
    "space, message",
    [
        ({"low": 1.0, "high": 1.0}, "empty"),
        ({"low": 2.0, "high": 1.0}, "inverted"),
        ({"low": 0.0, "high": 1.0, "log": True}, "a logarithmic range starts above 0, got 0"),
        ({"low": -1.0, "high": 1.0, "log": True}, "a logarithmic range starts above 0"),
        ({"low": 1.5, "high": 3.0, "integer": True}, "whole bounds"),
        ({"low": 1.0, "high": 3.0, "default": 9.0}, "the default 9 lies outside 1 to 3"),
        ({"low": math.nan, "high": 3.0}, "finite"),
        ({"low": 1.0, "high": math.inf}, "finite"),
        ({"low": True, "high": 3.0}, "must not be true"),
    ],
)
def test_a_range_that_is_none(space, message):
    with pytest.raises(ValidationError, match=message):
        Range(**space)


@pytest.mark.parametrize(
    "space, message",
    [
        ({"values": (8,)}, "at least 2"),
        ({"values": (8, 8)}, "holds the value 8 twice"),
        ({"values": (1, 1.0)}, "holds the value 1 twice"),  # Optuna takes them for one
        ({"values": (1, True)}, "holds the value 1 twice"),
        ({"values": (["a"], ["a"])}, "twice"),
        ({"values": (4, 8), "default": 16}, "the default 16 is none of the values"),
        ({"values": (4, 8), "when": {"rank": ()}}, "at least 1"),
    ],
)
def test_a_list_that_is_none(space, message):
    with pytest.raises(ValidationError, match=message):
        Choice(**space)


def test_only_what_a_trial_can_have_exactly_is_held():
    assert Choice(values=(True, False)).holds(True)
    assert not Choice(values=(True, False)).holds(1)
    whole = Range(low=1, high=8, integer=True)
    assert [value for value in (0, 1, 8, 9, 4.0, True) if whole.holds(value)] == [1, 8]
    assert not Range(low=0.0, high=1.0).holds(0.5)


def test_what_to_plan_with():
    assert typical(Choice(values=("a", "b"))) == "a"
    assert typical(Choice(values=("a", "b"), default="b")) == "b"
    assert typical(Range(low=1e-4, high=1e-2, log=True)) == pytest.approx(1e-3)
    assert typical(Range(low=1, high=4, integer=True)) == 2
    assert isinstance(typical(Range(low=1, high=4, integer=True, default=3)), int)
    inside = Range(low=2.0, high=8.0).inside()
    assert 2 < inside < 8
    assert inside != int(inside)


def test_a_condition_is_searched_only_where_it_holds():
    space = Range(low=0.0, high=0.2, when={"rank": (8, 16)})
    assert is_searched(space, {"rank": 8})
    assert not is_searched(space, {"rank": 4})
    assert not is_searched(space, {})


def test_a_grid_has_every_combination_once_and_the_last_field_fastest():
    spaces = {
        "rank": Choice(values=(4, 8)),
        "use_dora": Choice(values=(False, True), when={"rank": (8,)}),
        "learning_rate": Choice(values=(1e-4, 1e-3)),
    }
    assert list(grid(spaces)) == [
        {"rank": 4, "learning_rate": 1e-4},
        {"rank": 4, "learning_rate": 1e-3},
        {"rank": 8, "use_dora": False, "learning_rate": 1e-4},
        {"rank": 8, "use_dora": False, "learning_rate": 1e-3},
        {"rank": 8, "use_dora": True, "learning_rate": 1e-4},
        {"rank": 8, "use_dora": True, "learning_rate": 1e-3},
    ]
    with pytest.raises(ValueError, match="learning_rate has a range"):
        list(grid({"learning_rate": Range(low=0.1, high=1.0)}))
