"""Measures of similarity against scipy, statsmodels and plain formulas in float64, and against public libraries' own figures.

All agree to 1e-9 relative, beside the condition of the data; the libraries' angles of almost equal representations are good to
1e-9 themselves (arccos near 1), and platonic-rep counts its neighbours in float32.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.linalg import eigh, orthogonal_procrustes, subspace_angles
from scipy.spatial.distance import cdist, pdist
from scipy.stats import spearmanr
from statsmodels.multivariate.cancorr import CanCorr

from reference.make_similarity_measures import FIGURES, pairs
from tunescope.similarity.aligned import centred_cosine, cosine, mean_shift, norm_ratio, relative_change
from tunescope.similarity.cca import canonical_correlations, pwcca, svcca
from tunescope.similarity.cka import debiased_linear_cka, linear_cka
from tunescope.similarity.measures import MEASURES
from tunescope.similarity.neighbours import mutual_knn
from tunescope.similarity.procrustes import procrustes_distance, procrustes_residual
from tunescope.similarity.rsa import rsa

_TOLERANCE = 1e-9
_PAIRS = pairs()
_PUBLISHED = json.loads(FIGURES.read_text())["figures"]
_NARROW = ["same_width", "unequal", "small_change"]


@pytest.mark.parametrize("name", _PAIRS)
def test_procrustes_is_netreps_and_resis(name):
    (X, Y), published = _PAIRS[name], _PUBLISHED[name]
    length = np.linalg.norm(X - X.mean(axis=0))
    assert procrustes_distance(X, Y) == pytest.approx(published["netrep angular"], rel=_TOLERANCE)
    assert procrustes_distance(X, Y) == pytest.approx(published["resi angular"], rel=_TOLERANCE)
    assert 2.0 * np.sin(procrustes_distance(X, Y) / 2.0) == pytest.approx(published["resi normalised"], rel=_TOLERANCE)
    assert procrustes_residual(X, Y) * length == pytest.approx(published["netrep euclidean"], rel=_TOLERANCE)
    assert procrustes_residual(X, Y) * length == pytest.approx(published["resi size and shape"], rel=_TOLERANCE)


@pytest.mark.parametrize("name", _PAIRS)
def test_procrustes_is_scipys_rotation(name):
    X, Y = (side - side.mean(axis=0) for side in _PAIRS[name])
    width = max(X.shape[1], Y.shape[1])
    X, Y = (np.pad(side, ((0, 0), (0, width - side.shape[1]))) for side in (X, Y))
    Q, _ = orthogonal_procrustes(X, Y)
    assert procrustes_residual(X, Y) == pytest.approx(np.linalg.norm(X @ Q - Y) / np.linalg.norm(X), rel=_TOLERANCE)
    X, Y = X / np.linalg.norm(X), Y / np.linalg.norm(Y)
    # The angle between XQ and Y by its half's tangent, which keeps its digits near 0.
    angle = 2.0 * np.arctan2(np.linalg.norm(X @ Q - Y), np.linalg.norm(X @ Q + Y))
    assert procrustes_distance(X, Y) == pytest.approx(angle, rel=_TOLERANCE)


@pytest.mark.parametrize("name", _PAIRS)
@pytest.mark.parametrize("dissimilarity", ["euclidean", "correlation"])
def test_rsa_is_rsatoolboxs_resis_and_scipys(name, dissimilarity):
    (X, Y), published = _PAIRS[name], _PUBLISHED[name]
    found = rsa(X, Y, dissimilarity=dissimilarity)
    assert found == pytest.approx(published[f"rsatoolbox {dissimilarity}"], abs=_TOLERANCE)
    assert found == pytest.approx(published[f"resi rsa {dissimilarity}"], abs=_TOLERANCE)
    expected = spearmanr(pdist(X, dissimilarity), pdist(Y, dissimilarity)).statistic
    assert found == pytest.approx(expected, abs=_TOLERANCE)


@pytest.mark.parametrize("name", _PAIRS)
def test_mutual_knn_is_platonic_reps_and_a_sorts(name):
    (X, Y), published = _PAIRS[name], _PUBLISHED[name]
    assert mutual_knn(X, Y) == pytest.approx(published["platonic-rep mutual_knn"], abs=1e-6)
    for k in (1, 4, len(X) - 2):
        near = [np.argsort(cdist(side, side, "cosine") + 9.0 * np.eye(len(X)), axis=1)[:, :k] for side in (X, Y)]
        shared = [len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)]
        assert mutual_knn(X, Y, k=k) == pytest.approx(np.mean(shared), abs=1e-12)


@pytest.mark.parametrize("name", _NARROW)
def test_canonical_correlations_are_googles_statsmodels_and_subspace_angles(name):
    (X, Y), published = _PAIRS[name], _PUBLISHED[name]
    found = canonical_correlations(X, Y)
    assert found == pytest.approx(published["svcca canonical correlations"][: len(found)], abs=_TOLERANCE)
    angles = subspace_angles(X - X.mean(axis=0), Y - Y.mean(axis=0))
    assert found == pytest.approx(np.sort(np.cos(angles))[::-1], abs=_TOLERANCE)
    narrow, broad = sorted((X, Y), key=lambda side: side.shape[1])
    assert found == pytest.approx(CanCorr(narrow, broad).cancorr, abs=_TOLERANCE)


@pytest.mark.parametrize("name", _NARROW)
def test_svcca_is_googles(name):
    (X, Y), published = _PAIRS[name], _PUBLISHED[name]
    assert svcca(X, Y) == pytest.approx(published["svcca"], abs=_TOLERANCE)


@pytest.mark.parametrize("name", _NARROW)
def test_pwcca_is_its_formula_by_the_generalised_eigenproblem(name):
    X, Y = (side - side.mean(axis=0) for side in _PAIRS[name])
    # S_xy S_yy^-1 S_yx a = rho^2 S_xx a: no singular vectors, no whitening.
    S_xy = X.T @ Y
    squares, directions = eigh(S_xy @ np.linalg.solve(Y.T @ Y, S_xy.T), X.T @ X)
    num_kept = min(X.shape[1], Y.shape[1])
    squares, directions = squares[-num_kept:], directions[:, -num_kept:]
    weights = np.abs((X @ directions).T @ X).sum(axis=1)
    assert pwcca(X, Y) == pytest.approx(weights @ np.sqrt(squares) / weights.sum(), abs=_TOLERANCE)


def test_googles_pwcca_is_not_the_papers():
    published = _PUBLISHED["same_width"]["svcca pwcca, not the paper's"]
    assert pwcca(*_PAIRS["same_width"]) - published == pytest.approx(-0.00231, abs=1e-5)


@pytest.mark.parametrize("name", ["same_width", "small_change"])
def test_aligned_measures_are_their_formulas_example_by_example(name):
    X, Y = _PAIRS[name]

    def mean_cosine(A, B):
        return np.mean([a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(A, B, strict=True)])

    assert cosine(X, Y) == pytest.approx(mean_cosine(X, Y), abs=1e-14)
    assert centred_cosine(X, Y) == pytest.approx(mean_cosine(X - X.mean(axis=0), Y - Y.mean(axis=0)), abs=1e-13)
    assert relative_change(X, Y) == pytest.approx(np.linalg.norm(Y - X) / np.linalg.norm(X), rel=1e-12)
    assert norm_ratio(X, Y) == pytest.approx(np.linalg.norm(Y) / np.linalg.norm(X), rel=1e-12)
    sd = np.sqrt(np.trace(np.cov(X.T)))
    assert mean_shift(X, Y) == pytest.approx(np.linalg.norm(Y.mean(axis=0) - X.mean(axis=0)) / sd, rel=1e-10)


def test_cka_of_the_records_is_the_known_one():
    np_random = np.random.RandomState(1337)
    X = np_random.randn(100, 10)
    Y = np_random.randn(100, 10) + X
    assert MEASURES["linear_cka"].function is linear_cka
    assert MEASURES["debiased_linear_cka"].function is debiased_linear_cka
    assert MEASURES["linear_cka"].of(X, Y).value == pytest.approx(0.5576132566117588, abs=1e-12)
    assert MEASURES["debiased_linear_cka"].of(X, Y).value == pytest.approx(0.5134564895055259, abs=1e-12)
