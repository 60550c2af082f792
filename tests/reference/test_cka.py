"""CKA held to numbers that are not ours: published reference values, the (n, n) computation, and known facts about estimators.

The values of `REFERENCE` follow from the papers' formulas in plain float64 (Kornblith et al., 2019; Song et al., 2012) and agree
with public implementations to every digit given; -1/26 and -1/2 can be checked by hand. Tolerances: 1e-9 between two float64
computations in different orders; for a float32 pass the law that `test_float32_is_right_to_1e_9` states.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunescope.similarity.cka import cka_matrix, debiased_linear_cka, linear_cka
from tunescope.similarity.hsic import hsic_biased, hsic_debiased
from tunescope.similarity.jackknife import debiased_cka_jackknife, paired_jackknife
from tunescope.similarity.streaming import PairSums

_LEGACY = np.random.RandomState(1337)
X = _LEGACY.randn(100, 10)
Y = _LEGACY.randn(100, 10) + X
BIASED, DEBIASED = 0.5576132566117588, 0.5134564895055259


def _gram_cka(X: np.ndarray, Y: np.ndarray, *, debiased: bool) -> float:
    """Both formulas as printed, on (n, n) matrices of raw features."""
    n, K, L = len(X), X @ X.T, Y @ Y.T
    H, one = np.eye(n) - 1.0 / n, np.ones(n)

    def hsic(K: np.ndarray, L: np.ndarray) -> float:
        if not debiased:
            return float(np.trace(K @ H @ L @ H))
        A, B = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
        corrected = np.trace(A @ B) + (one @ A @ one) * (one @ B @ one) / ((n - 1) * (n - 2))
        return float(corrected - 2.0 * (one @ A @ B @ one) / (n - 2))

    return hsic(K, L) / math.sqrt(hsic(K, K) * hsic(L, L))


def _one_pass(X: np.ndarray, Y: np.ndarray, dtype: type[np.floating], *, folded: bool) -> PairSums:
    sums = PairSums(X.shape[1], Y.shape[1], dtype=dtype)
    for start in range(0, len(X), 33):
        sums.update(X[start : start + 33], Y[start : start + 33])
    if folded:
        sums.fold()
    return sums


def test_reference_values() -> None:
    assert linear_cka(X, Y) == pytest.approx(BIASED, abs=1e-14)
    assert debiased_linear_cka(X, Y) == pytest.approx(DEBIASED, abs=1e-14)
    x, y = np.array([[1.0], [2], [3], [4]]), np.array([[1.0], [3], [2], [4]])
    assert debiased_linear_cka(x, y) == pytest.approx(-1 / 26, abs=1e-14)
    x, y = np.array([[1.0], [-1], [1], [-1], [0]]), np.array([[1.0], [1], [-1], [-1], [0]])
    assert debiased_linear_cka(x, y) == pytest.approx(-1 / 2, abs=1e-14)


@pytest.mark.parametrize("folded", [False, True])
def test_reference_values_in_one_pass(folded: bool) -> None:
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 2e-7)):
        sums = _one_pass(X, Y, dtype, folded=folded)
        assert sums.linear_cka() == pytest.approx(BIASED, abs=tolerance)
        assert sums.debiased_linear_cka() == pytest.approx(DEBIASED, abs=tolerance)


@pytest.mark.parametrize("n,d", [(60, 200), (700, 9)])
@pytest.mark.parametrize("debiased", [False, True])
def test_the_n_by_n_computation(n: int, d: int, debiased: bool) -> None:
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, d))
    Y = X[:, : d // 2] + rng.normal(size=(n, d // 2))
    expected = _gram_cka(X, Y, debiased=debiased)
    sums = [_one_pass(X, Y, np.float64, folded=folded) for folded in (False, True)]
    found = [
        (debiased_linear_cka if debiased else linear_cka)(X, Y),
        float(cka_matrix([X], [Y], debiased=debiased)[0, 0]),
        *[one.debiased_linear_cka() if debiased else one.linear_cka() for one in sums],
    ]
    assert found == pytest.approx([expected] * 4, abs=1e-9)


def test_a_mean_whose_square_is_a_thousand_variances() -> None:
    rng = np.random.default_rng(7)
    mean = rng.normal(size=10) * math.sqrt(1000 * 1.0)
    X32, Y32 = (X + mean).astype(np.float32), (Y + mean).astype(np.float32)
    expected = debiased_linear_cka(X32, Y32)  # float32 has rounded the input itself; what follows must not add to it
    assert expected == pytest.approx(DEBIASED, abs=1e-6)
    for folded in (False, True):
        assert _one_pass(X32, Y32, np.float32, folded=folded).debiased_linear_cka() == pytest.approx(expected, abs=2e-7)
    # The raw form in float32 is what this guards against.
    K, L = X32 @ X32.T, Y32 @ Y32.T
    assert abs(_gram_cka_of(K, L) - DEBIASED) > 1e-4


def _like_hidden_states(n: int, d_x: int, d_y: int, seed: int, *, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, d_x), (n, d_y) float32 with means thirty standard deviations from 0; Y is X, moved, as a tuned model's states are."""
    rng = np.random.default_rng(seed)
    scale = 1.0 / np.sqrt(1.0 + np.arange(d_x) / 8.0)
    if kind == "one outlier":  # a feature of a hundred times the others' size, as many models have
        scale[3] *= 100.0
    A = rng.normal(size=(n, d_x)) * scale
    B = A + 0.4 * rng.normal(size=(n, d_x)) * scale
    if kind == "rotated":  # no feature is a direction of its own
        A, B = (side @ np.linalg.qr(rng.normal(size=(d_x, d_x)))[0] for side in (A, B))
    A, B = (side + 30.0 * side.std(axis=0) * rng.choice([-1.0, 1.0], size=d_x) for side in (A, B))
    return A.astype(np.float32), B[:, :d_y].astype(np.float32)


@pytest.mark.parametrize("kind", ["features", "rotated", "one outlier"])
@pytest.mark.parametrize("n,d_x,d_y", [(300, 384, 384), (750, 384, 384), (750, 700, 300), (1500, 64, 64)])
def test_float32_is_right_to_1e_9(n: int, d_x: int, d_y: int, kind: str) -> None:
    """Held against float64 and its (n, n) matrices.

    Law, from measurement: at most (1 / n + 1 / (2 d)) 1e-6, 1.6e-9 at 750 x 2,048 and 3e-10 at 11,873 x 2,048: entries of float32
    products are off by chance and cancel, the more the more there are. Twice that where every draw is to meet it.
    """
    A, B = _like_hidden_states(n, d_x, d_y, n + d_x, kind=kind)
    wide_A, wide_B = (side.astype(np.float64) for side in (A, B))
    K, L = (side @ side.T for side in (wide_A - wide_A.mean(axis=0), wide_B - wide_B.mean(axis=0)))
    tolerance = 2e-6 * (1.0 / n + 0.5 / d_y)
    for debiased, in_memory in ((False, linear_cka), (True, debiased_linear_cka)):
        hsic = hsic_debiased if debiased else hsic_biased
        expected = hsic(K, L) / math.sqrt(hsic(K, K) * hsic(L, L))
        sums = _one_pass(A, B, np.float32, folded=False)
        found = {
            "PairSums": sums.debiased_linear_cka() if debiased else sums.linear_cka(),
            "in memory": in_memory(A, B, dtype=np.float32),
            "matrix": float(cka_matrix([A], [B], debiased=debiased, dtype=np.float32)[0, 0]),
        }
        assert found == pytest.approx(dict.fromkeys(found, expected), rel=0.0, abs=tolerance)


def _gram_cka_of(K: np.ndarray, L: np.ndarray) -> float:
    """Song's formula on float32 Gram matrices, all sums in float32."""

    def hsic(K: np.ndarray, L: np.ndarray) -> float:
        n = len(K)
        A, B = K.copy(), L.copy()
        np.fill_diagonal(A, 0.0)
        np.fill_diagonal(B, 0.0)
        a, b = A.sum(axis=0), B.sum(axis=0)
        return float((A * B).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2.0 * (a @ b) / (n - 2))

    denominator = hsic(K, K) * hsic(L, L)
    return hsic(K, L) / math.sqrt(denominator) if denominator > 0 else math.nan


def _population(n_draws: int, n: int, noise: float, seed: int) -> tuple[float, list[tuple[np.ndarray, np.ndarray]]]:
    """Normal pairs Y = XW + noise, and the CKA of their population, from its covariances."""
    rng, d = np.random.default_rng(seed), 6
    W, S = np.eye(d) + noise * rng.normal(size=(d, d)) / math.sqrt(d), np.diag(1.0 / np.arange(1, d + 1))
    Sxy, Syy = S @ W, W.T @ S @ W + noise**2 * np.eye(d) / 4
    truth = float((Sxy**2).sum() / math.sqrt((S**2).sum() * (Syy**2).sum()))
    draws = []
    for _ in range(n_draws):
        A = rng.normal(size=(n, d)) @ np.sqrt(S)
        draws.append((A, A @ W + noise / 2 * rng.normal(size=(n, d))))
    return truth, draws


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
def test_jackknife_intervals_cover(noise: float) -> None:
    truth, draws = _population(300, 100, noise, seed=1)
    found = [debiased_cka_jackknife(A, B) for A, B in draws]
    covered = np.mean([one.ci_low <= truth <= one.ci_high for one in found])
    assert 0.90 <= covered <= 0.99
    assert np.mean([one.estimate for one in found]) == pytest.approx(truth, abs=0.01)


def test_paired_jackknife_intervals_cover() -> None:
    truth_a, draws_a = _population(250, 100, 0.5, seed=2)
    truth_b, draws_b = _population(250, 100, 1.0, seed=2)
    covered = []
    for (A, Y_a), (other, Y_b) in zip(draws_a, draws_b, strict=True):
        np.testing.assert_array_equal(A, other)
        found = paired_jackknife(A, Y_a, Y_b)
        covered.append(found.ci_low <= truth_a - truth_b <= found.ci_high)
    assert 0.90 <= np.mean(covered) <= 0.99


def test_a_bootstrap_with_replacement_would_not_cover() -> None:
    """Why there is none: a row beside its own copy is a pair that is alike by construction."""
    rng = np.random.default_rng(3)
    A, B = rng.normal(size=(60, 200)), rng.normal(size=(60, 200))
    drawn = [rng.integers(60, size=60) for _ in range(60)]
    resampled = [debiased_linear_cka(A[rows], B[rows]) for rows in drawn]
    assert min(resampled) > debiased_linear_cka(A, B) + 0.1
    found = debiased_cka_jackknife(A, B)
    assert found.ci_low < 0.0 < found.ci_high
