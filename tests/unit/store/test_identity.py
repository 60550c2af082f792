"""Canonical JSON and the ids made of it."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest

from tunescope.errors import StoreError
from tunescope.store.identity import canonical_json, content_id


def test_keys_are_sorted_and_nothing_is_spaced():
    assert canonical_json({"b": [1, 2.5, True, None], "a": {"z": "é", "y": ()}}) == (
        '{"a":{"y":[],"z":"é"},"b":[1,2.5,true,null]}'
    )


def test_one_number_is_written_one_way():
    assert canonical_json(1e-05) == canonical_json(0.00001) == "1e-05"
    assert canonical_json(-0.0) == "0.0"
    assert canonical_json(0.1 + 0.2) == "0.30000000000000004"


def test_int_and_float_stay_different():
    assert canonical_json(1) != canonical_json(1.0)
    assert canonical_json(True) != canonical_json(1)


def test_tuples_are_lists():
    assert canonical_json((1, (2,))) == canonical_json([1, [2]])


@pytest.mark.parametrize(
    "value,where",
    [
        ({"a": [0.0, math.nan]}, "a[1]: nan"),
        ({"a": {"b": math.inf}}, "a.b: inf"),
        ({"a": {1: "x"}}, "a: the key 1 is a int"),
        ({"a": {1, 2}}, "a: a builtins.set"),
        ({"a": b"x"}, "a: a builtins.bytes"),
        ([datetime.date(2026, 1, 1)], "[0]: a datetime.date"),
        ({"lr": np.float64(0.1)}, "lr: a numpy.float64"),
        ({"lr": np.float32(0.1)}, "lr: a numpy.float32"),
        ({"text": "\ud800"}, "text: '\\ud800' is not Unicode"),
        (math.nan, "the value itself: nan"),
    ],
)
def test_what_cannot_be_written_the_same_way_twice_is_refused_with_its_place(value, where):
    with pytest.raises(StoreError) as error:
        canonical_json(value)
    assert str(error.value).startswith(where)


def test_id_is_sixteen_hex_digits_and_stays_what_it_was():
    # Frozen: stores of users are keyed by it. `sha256sum` of {"config":{"lr":1e-05,"version":1},"inputs":{},"kind":"train"}
    assert content_id("train", {"version": 1, "lr": 0.00001}, {}) == "cb6e666c7da3b9e1"


def test_id_depends_on_kind_config_and_inputs_and_not_on_order():
    base = content_id("train", {"a": 1, "b": 2}, {"x": "0" * 16, "y": "1" * 16})
    assert content_id("train", {"b": 2, "a": 1}, {"y": "1" * 16, "x": "0" * 16}) == base
    others = {
        content_id("evaluate", {"a": 1, "b": 2}, {"x": "0" * 16, "y": "1" * 16}),
        content_id("train", {"a": 1, "b": 3}, {"x": "0" * 16, "y": "1" * 16}),
        content_id("train", {"a": 1, "b": 2}, {"x": "1" * 16, "y": "0" * 16}),
        content_id("train", {"a": 1, "b": 2}, {}),
    }
    assert len(others | {base}) == 5
