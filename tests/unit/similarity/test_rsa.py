"""Representational similarity analysis: order of distances, ties, distances that cancel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from tunescope.similarity.rsa import rsa, square_distances


def _states(seed=0, n=30, d=5):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_only_the_order_of_distances_counts():
    x = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert rsa(x, x**2) == pytest.approx(spearmanr([1, 3, 7, 2, 6, 4], [1, 9, 49, 8, 48, 40]).statistic)
    assert rsa(x, np.sign(x) * x**1.5) == pytest.approx(1.0)


def test_equal_distances_share_a_rank():
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [3.0]])
    assert rsa(x, y) == pytest.approx(spearmanr([1, 2, 1], [1, 3, 2]).statistic)


def test_unrelated_representations_score_zero_give_or_take_half_over_root_n():
    found = [rsa(_states(seed, 100), _states(1000 + seed, 100)) for seed in range(100)]
    assert np.mean(found) == pytest.approx(0.0, abs=0.02)
    assert np.std(found) == pytest.approx(0.05, rel=0.25)


def test_correlation_sees_features_relative_to_their_own_mean():
    X = _states()
    scales = np.random.default_rng(2).uniform(0.5, 2.0, size=(30, 1))
    assert rsa(X, scales * X + 7.0, dissimilarity="correlation") == pytest.approx(1.0)
    assert rsa(X, scales * X + 7.0) < 0.95


def test_distances_far_smaller_than_the_states_keep_their_digits():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(10, 4)), 3, axis=0) * 1e4
    X[1::3] += 1e-3 * rng.normal(size=(10, 4))  # near its neighbour; the third of each is a copy
    X -= X.mean(axis=0)
    expected = squareform(pdist(X, "sqeuclidean"))
    assert square_distances(X) == pytest.approx(expected, rel=1e-8)
    assert (square_distances(X) == square_distances(X).T).all()
    assert square_distances(X)[0, 2] == 0.0


def test_refuses():
    X = _states()
    with pytest.raises(ValueError, match=r"rsa: X and Y must hold the same examples .* got 30 rows and 29"):
        rsa(X, X[1:])
    with pytest.raises(ValueError, match="rsa: needs at least 3 examples, got 2"):
        rsa(X[:2], X[:2])
    with pytest.raises(ValueError, match="rsa: Y is constant"):
        rsa(X, np.ones((30, 4)))
    with pytest.raises(ValueError, match="rsa: all examples of X are equally far apart"):
        rsa(np.eye(30), X)
    with pytest.raises(ValueError, match="rsa: all features of example 2 of Y are equal"):
        rsa(X, np.vstack([X[:2], np.ones((1, 5)), X[3:]]), dissimilarity="correlation")
    with pytest.raises(ValueError, match="rsa: dissimilarity must be 'euclidean' or 'correlation', got 'cosine'"):
        rsa(X, X, dissimilarity="cosine")
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match="rsa: X must be finite numbers, got nan in row 4, feature 1"):
        rsa(X, X)
