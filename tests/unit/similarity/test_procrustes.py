"""Distances after the best rotation: known angles, small ones to their last digits, any widths."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity.aligned import relative_change
from tunescope.similarity.procrustes import procrustes_distance, procrustes_residual


def _states(seed=0, n=30, d=5):
    return np.random.default_rng(seed).normal(size=(n, d))


def _rotation(d, seed=3):
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))
    return Q


def test_features_that_nothing_can_turn_onto_each_other_are_a_right_angle_apart():
    x, y = np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert procrustes_distance(x, y) == pytest.approx(np.pi / 2.0)
    assert procrustes_residual(x, 2.0 * y) == pytest.approx(np.sqrt(5.0))


def test_a_known_angle():
    # Y keeps one of two equal and uncorrelated directions of X: the cosine is 1 / sqrt(2)
    X = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    assert procrustes_distance(X, X[:, :1]) == pytest.approx(np.pi / 4.0)
    assert procrustes_distance(X[:, :1], X) == pytest.approx(np.pi / 4.0)
    assert procrustes_residual(X, X[:, :1]) == pytest.approx(np.sqrt(0.5))


def test_a_rotated_base_is_no_distance_away_but_a_change():
    X = _states()
    Y = X @ _rotation(5)
    assert relative_change(X, Y) > 0.5
    assert procrustes_distance(X, Y) < 1e-14
    assert procrustes_residual(X, Y) < 1e-14


@pytest.mark.parametrize("size", [1e-2, 1e-5, 1e-8, 1e-11])
@pytest.mark.parametrize("d", [5, 80])
def test_small_distances_keep_their_digits(size, d):
    # A step orthogonal to all that X and its rotations are: the angle is its tangent's.
    n = 30
    Q, _ = np.linalg.qr(np.column_stack([np.ones(n), np.random.default_rng(0).normal(size=(n, 4))]))
    X = np.pad(Q[:, 1:4] * [3.0, 2.0, 1.0], ((0, 0), (0, d - 3)))
    Y = X.copy()
    Y[:, 4] += size * np.linalg.norm(X) * Q[:, 4]
    turned = _rotation(d)
    assert procrustes_distance(X, Y @ turned) == pytest.approx(np.arctan(size), rel=1e-10, abs=3e-15)
    assert procrustes_residual(X, Y @ turned) == pytest.approx(size, rel=1e-10, abs=3e-15)


@pytest.mark.parametrize("n", [8, 30])
def test_more_features_than_examples_or_fewer_are_one_formula(n):
    X, Y = _states(0, n, 20), _states(1, n, 12)
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    nuclear = np.linalg.norm(Xc.T @ Yc, "nuc")
    expected = np.arccos(nuclear / np.linalg.norm(Xc) / np.linalg.norm(Yc))
    assert procrustes_distance(X, Y) == pytest.approx(expected, rel=1e-10)
    assert procrustes_distance(np.pad(X, ((0, 0), (0, 9))), Y) == pytest.approx(expected, rel=1e-10)
    expected = np.sqrt((Xc**2).sum() + (Yc**2).sum() - 2.0 * nuclear) / np.linalg.norm(Xc)
    assert procrustes_residual(X, Y) == pytest.approx(expected, rel=1e-10)


def test_the_angle_is_a_metric():
    for seed in range(50):
        X, Y, Z = (_states(3 * seed + side, n=6, d=2 + side) for side in range(3))
        assert procrustes_distance(X, Z) <= procrustes_distance(X, Y) + procrustes_distance(Y, Z) + 1e-12


@pytest.mark.parametrize("measure", [procrustes_distance, procrustes_residual])
def test_refuses(measure):
    X = _states()
    with pytest.raises(ValueError, match=f"{measure.__name__}: X and Y must hold the same examples"):
        measure(X, X[1:])
    with pytest.raises(ValueError, match=f"{measure.__name__}: Y is constant"):
        measure(X, np.ones((30, 2)))
    with pytest.raises(ValueError, match=f"{measure.__name__}: needs at least 2 examples, got 1"):
        measure(X[:1], X[:1])
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match="X must be finite numbers, got nan in row 4, feature 1"):
        measure(X, X)
