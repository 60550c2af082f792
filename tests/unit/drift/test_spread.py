"""Rounding is told from states that differ."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.drift.spread import Spread, constant_note


@pytest.mark.parametrize("by, is_rounding", [(0.0, True), (1e-7, True), (1e-3, False), (1.0, False)])
@pytest.mark.parametrize("size", [1e-20, 1.0, 1e6])
def test_a_spread_of_rounding_is_told_at_any_size(by, is_rounding, size):
    rng = np.random.default_rng(0)
    X = size * (rng.normal(size=16) + by * rng.normal(size=(50, 16)))
    assert Spread.of(X).is_rounding is is_rounding
    pieces = Spread()
    for start in range(0, 50, 7):
        pieces.add(X[start : start + 7])
    assert pieces.is_rounding is is_rounding


def test_states_of_zeros_and_no_states_at_all_do_not_vary():
    assert Spread.of(np.zeros((5, 3))).is_rounding
    assert Spread.of(np.zeros((0, 3))).is_rounding
    assert not Spread.of(np.eye(3)).is_rounding


def test_the_note_says_whose_states_they_are():
    varied, constant = Spread.of(np.eye(3)), Spread.of(np.ones((3, 3)))
    assert constant_note(varied, varied) == ""
    assert constant_note(constant, varied).startswith("the base model's")
    assert constant_note(varied, constant).startswith("the other model's")
