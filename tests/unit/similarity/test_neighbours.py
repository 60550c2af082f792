"""Mutual nearest neighbours: counts by hand, ties that do not depend on the order of examples, chance, blocks."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity import neighbours
from tunescope.similarity.neighbours import mutual_knn, mutual_knn_shares


def _states(seed=0, n=40, d=6):
    return np.random.default_rng(seed).normal(size=(n, d))


def _at(*degrees):
    """Unit vectors in a plane: neighbours by angle."""
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def test_counts_by_hand():
    X, Y = _at(0, 1, 10, 30), _at(0, 1, 30, 3)
    # nearest in X: 1, 0, 1, 2; in Y: 1, 0, 3, 1
    assert mutual_knn_shares(X, Y, k=1) == pytest.approx([1.0, 1.0, 0.0, 0.0])
    assert mutual_knn(X, Y, k=1) == 0.5


def test_length_does_not_count_but_direction_from_the_origin_does():
    X = _states()
    assert mutual_knn(X, X * np.random.default_rng(1).uniform(0.5, 2.0, size=(40, 1))) == 1.0
    assert mutual_knn(X, X + 2.0) < 0.9


def test_chance_is_k_of_the_others():
    found = [mutual_knn(_states(seed, 51), _states(100 + seed, 51), k=10) for seed in range(40)]
    assert np.mean(found) == pytest.approx(0.2, rel=0.05)


def test_copies_of_one_example_share_the_places_left():
    X = _at(0, 50, 50, 50, 120)
    Y = _at(0, 50, 50, 50, 20)
    # for the first, one place and three copies in X; the last example in Y
    assert mutual_knn_shares(X, Y, k=1)[0] == 0.0
    # two places: two thirds of each copy in X; the last and a third of each copy in Y
    assert mutual_knn_shares(X, Y, k=2)[0] == pytest.approx(3 * (1 / 3) / 2)
    assert mutual_knn(X, X, k=2) == pytest.approx(1.0)
    order = [3, 0, 4, 2, 1]
    assert mutual_knn_shares(X[order], Y[order], k=2) == pytest.approx(mutual_knn_shares(X, Y, k=2)[order])


def test_copies_that_differ_by_rounding_are_copies():
    X = np.repeat(_states(n=8), 5, axis=0)
    Y = _states(1)
    lengths = np.random.default_rng(2).uniform(0.1, 3.0, size=(40, 1))
    assert mutual_knn_shares(X * lengths, Y, k=6) == pytest.approx(mutual_knn_shares(X, Y, k=6), abs=1e-12)


def test_blocks_change_nothing(monkeypatch):
    X, Y = _states(0), _states(0) + _states(1)
    whole = mutual_knn_shares(X, Y, k=3)
    monkeypatch.setattr(neighbours, "_BLOCK_ELEMENTS", 40 * 7)
    assert mutual_knn_shares(X, Y, k=3) == pytest.approx(whole, abs=1e-15)


@pytest.mark.parametrize("k", [0, -1, 39, 40, 400])
def test_refuses_k(k):
    with pytest.raises(
        ValueError, match=rf"mutual_knn: k must be at least 1 and at most n - 2 = 38 for 40 examples, got {k}\."
    ):
        mutual_knn(_states(), _states(1), k=k)


def test_refuses():
    X = _states()
    with pytest.raises(ValueError, match="mutual_knn: X and Y must hold the same examples"):
        mutual_knn(X, X[1:])
    with pytest.raises(ValueError, match="mutual_knn: Y is constant"):
        mutual_knn(X, np.ones((40, 2)))
    with pytest.raises(ValueError, match="mutual_knn: example 5 of Y is all zeros"):
        mutual_knn(X, np.where(np.arange(40)[:, None] == 5, 0.0, X))
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match="mutual_knn: X must be finite numbers, got nan in row 4, feature 1"):
        mutual_knn(X, X)
