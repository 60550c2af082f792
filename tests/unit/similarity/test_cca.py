"""Canonical correlations, SVCCA, PWCCA: known data, what the kept share does, and what too few examples do."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity.cca import canonical_correlations, pwcca, svcca


def _orthonormal(seed=0, n=60, d=6):
    """Centred, uncorrelated columns of one length."""
    centred = np.random.default_rng(seed).normal(size=(n, d))
    Q, _ = np.linalg.qr(np.column_stack([np.ones(n), centred]))
    return Q[:, 1:]


def test_known_correlations():
    Q = _orthonormal()
    X = Q[:, :2]
    Y = np.column_stack([0.6 * Q[:, 0] + 0.8 * Q[:, 2], 0.28 * Q[:, 1] + 0.96 * Q[:, 3]])
    assert canonical_correlations(X, Y) == pytest.approx([0.6, 0.28])
    assert svcca(X, Y) == pytest.approx(0.44)
    # x_1 ten times as long: so much more does its correlation weigh
    assert pwcca(X * [10.0, 1.0], Y) == pytest.approx((10.0 * 0.6 + 0.28) / 11.0)
    assert pwcca(Y, X * [10.0, 1.0]) == pytest.approx(0.44)


def test_svcca_leaves_out_what_holds_little_variance():
    Q = _orthonormal()
    X = Q[:, :2] * [1.0, 0.05]
    Y = np.column_stack([Q[:, 0], 0.05 * Q[:, 3]])
    assert svcca(X, Y) == pytest.approx(1.0)
    assert svcca(X, Y, share=1.0) == pytest.approx(0.5)
    assert svcca(X, Y, share=0.9999) == pytest.approx(0.5)


def test_a_share_is_reached_by_the_fewest_directions():
    Q = _orthonormal()
    # The first direction holds half, give or take a rounding; only that one is common.
    X, Y = Q[:, [0, 1, 2]] * [np.sqrt(2.0), 1.0, 1.0], Q[:, [0, 3, 4]] * [np.sqrt(2.0), 1.0, 1.0]
    assert svcca(X, Y, share=0.5) == pytest.approx(1.0)
    assert svcca(X, Y, share=0.51) == pytest.approx(0.5)
    assert svcca(X, Y, share=0.76) == pytest.approx(1.0 / 3.0)


def test_features_that_depend_on_others_count_once():
    X, Y = np.random.default_rng(0).normal(size=(2, 50, 3))
    doubled = np.column_stack([X, X @ [1.0, -2.0, 0.5], np.full(50, 3.0)])
    assert canonical_correlations(doubled, Y) == pytest.approx(canonical_correlations(X, Y))
    assert svcca(doubled, Y, share=1.0) == pytest.approx(svcca(X, Y, share=1.0))


def test_unrelated_features_correlate_by_what_the_regime_says():
    # mean of rho^2 = d / (n - 1)
    rng = np.random.default_rng(0)
    found = [np.mean(canonical_correlations(*rng.normal(size=(2, 101, 20))) ** 2) for _ in range(20)]
    assert np.mean(found) == pytest.approx(0.2, rel=0.05)


def test_with_fewer_examples_than_features_all_correlations_are_one():
    X, Y = np.random.default_rng(0).normal(size=(2, 10, 12))
    assert canonical_correlations(X, Y) == pytest.approx(np.ones(9))
    assert pwcca(X, Y) == pytest.approx(1.0)


def test_pwcca_has_no_weights_where_some_correlations_are_one_by_counting():
    X, Y = np.random.default_rng(0).normal(size=(2, 15, 8))
    message = (
        "pwcca: 15 examples leave no weights to 8 directions of X and 8 of Y: 2 correlations are 1 whatever the data. "
        "Needs at least 16 examples."
    )
    with pytest.raises(ValueError, match=message):
        pwcca(X, Y)
    assert (canonical_correlations(X, Y) > 1.0 - 1e-9).sum() == 2
    assert pwcca(X, X) == pytest.approx(1.0)
    X, Y = np.random.default_rng(0).normal(size=(2, 16, 8))
    assert 0.0 < pwcca(X, Y) < 1.0


@pytest.mark.parametrize("measure", [canonical_correlations, svcca, pwcca])
def test_refuses(measure):
    X = _orthonormal()
    with pytest.raises(ValueError, match=f"{measure.__name__}: X and Y must hold the same examples"):
        measure(X, X[1:])
    with pytest.raises(ValueError, match=f"{measure.__name__}: X is constant"):
        measure(np.ones((60, 2)), X)
    with pytest.raises(ValueError, match=f"{measure.__name__}: needs at least 2 examples, got 1"):
        measure(X[:1], X[:1])
    Y = X.copy()
    Y[4, 1] = np.inf
    with pytest.raises(ValueError, match="Y must be finite numbers, got inf in row 4, feature 1"):
        measure(X, Y)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_refuses_a_share(share):
    with pytest.raises(ValueError, match="svcca: share of the variance must lie above 0 and at most at 1"):
        svcca(_orthonormal(), _orthonormal(1), share=share)
