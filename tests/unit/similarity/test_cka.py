"""CKA in memory: range, what it forgives, all pairs of layers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tunescope.similarity.cka import cka_matrix, debiased_linear_cka, linear_cka, rbf_cka
from tunescope.similarity.hsic import hsic_debiased

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)) + 2.0
Y = np.tanh(X[:, :4]) + 0.3 * RNG.normal(size=(40, 4))
MEASURES = [linear_cka, debiased_linear_cka, rbf_cka, lambda X, Y: rbf_cka(X, Y, debiased=True)]
Measure = Callable[[np.ndarray, np.ndarray], float]


@pytest.mark.parametrize("cka", MEASURES)
def test_rotation_scale_and_shift_do_not_count(cka: Measure) -> None:
    rotation, _ = np.linalg.qr(RNG.normal(size=(4, 4)))
    assert cka(X, 3.0 * Y @ rotation - 5.0) == pytest.approx(cka(X, Y), abs=1e-12)
    assert cka(X, X @ np.diag([9.0, 1, 1, 1, 1, 1])) < 0.95


@pytest.mark.parametrize("cka", MEASURES)
def test_symmetric_and_one_with_itself(cka: Measure) -> None:
    assert cka(X, Y) == pytest.approx(cka(Y, X), abs=1e-14)
    assert cka(X, X) == pytest.approx(1.0, abs=1e-14)
    assert -1.0 < cka(X, Y) < 1.0


def test_biased_rises_with_features_debiased_does_not() -> None:
    rng = np.random.default_rng(5)
    pairs = [(rng.normal(size=(60, 400)), rng.normal(size=(60, 400))) for _ in range(12)]
    assert min(linear_cka(A, B) for A, B in pairs) > 0.8
    assert abs(np.mean([debiased_linear_cka(A, B) for A, B in pairs])) < 0.02


def test_negative_values_are_not_cut() -> None:
    x, y = np.array([[1.0], [-1], [1], [-1], [0]]), np.array([[1.0], [1], [-1], [-1], [0]])
    assert debiased_linear_cka(x, y) == pytest.approx(-0.5, abs=1e-14)


def test_nan_where_all_examples_are_equally_far_apart() -> None:
    assert np.isnan(debiased_linear_cka(np.eye(9), RNG.normal(size=(9, 3))))
    assert np.isnan(rbf_cka(np.eye(9), RNG.normal(size=(9, 3)), debiased=True))
    assert np.isfinite(linear_cka(np.eye(9), RNG.normal(size=(9, 3))))


@pytest.mark.parametrize("bandwidth", [0.5, 1.0, 2.0])
def test_rbf_is_the_hsic_of_gaussian_kernels(bandwidth: float) -> None:
    grams = []
    for side in (X, Y):
        distances = np.linalg.norm(side[:, None] - side[None], axis=2)
        sigma = bandwidth * np.median(distances[np.triu_indices(40, 1)])
        grams.append(np.exp(-(distances**2) / (2 * sigma**2)))
    K, L = grams
    H = np.eye(40) - 1 / 40
    expected = np.trace(K @ H @ L @ H) / np.sqrt(np.trace(K @ H @ K @ H) * np.trace(L @ H @ L @ H))
    assert rbf_cka(X, Y, bandwidth=bandwidth) == pytest.approx(expected, rel=1e-11)
    expected = hsic_debiased(K, L) / np.sqrt(hsic_debiased(K, K) * hsic_debiased(L, L))
    assert rbf_cka(X, Y, bandwidth=bandwidth, debiased=True) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("n", [20, 300])  # either form
def test_the_matrix_is_every_pair(debiased: bool, n: int) -> None:
    rng = np.random.default_rng(1)
    Xs = [rng.normal(size=(n, d)) for d in (12, 20)]
    Ys = [Xs[0] + rng.normal(size=(n, 12)), rng.normal(size=(n, 5)), Xs[1] ** 2]
    cka = debiased_linear_cka if debiased else linear_cka
    expected = [[cka(A, B) for B in Ys] for A in Xs]
    np.testing.assert_allclose(cka_matrix(Xs, Ys, debiased=debiased), expected, atol=1e-13)
    np.testing.assert_allclose(cka_matrix(Xs, Ys, debiased=debiased, dtype=np.float32), expected, atol=1e-6)
    own = cka_matrix(Xs, Xs, debiased=debiased)
    np.testing.assert_allclose(own, [[cka(A, B) for B in Xs] for A in Xs], atol=1e-13)


def test_inputs_are_left_alone() -> None:
    before = X.copy()
    linear_cka(X, Y)
    cka_matrix([X], [Y])
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    "name,cka", [("linear_cka", linear_cka), ("debiased_linear_cka", debiased_linear_cka), ("rbf_cka", rbf_cka)]
)
def test_refusals(name: str, cka: Measure) -> None:
    with pytest.raises(
        ValueError, match=f"^{name}: X and Y must hold the same examples in the same order, got 40 rows and 39"
    ):
        cka(X, Y[:-1])
    with pytest.raises(ValueError, match=f"^{name}: Y is constant"):
        cka(X, np.full((40, 3), 0.1))
    with pytest.raises(ValueError, match=f"^{name}: X must be finite numbers, got nan in row 0"):
        cka(np.where(np.eye(40, 6) == 1.0, np.nan, X), Y)
    with pytest.raises(ValueError, match=f"^{name}: needs at least"):
        cka(X[:1], Y[:1])


def test_debiased_needs_four() -> None:
    with pytest.raises(ValueError, match=r"^debiased_linear_cka: needs at least 4 examples, got 3"):
        debiased_linear_cka(X[:3], Y[:3])
    with pytest.raises(ValueError, match=r"^cka_matrix: needs at least 4 examples, got 3"):
        cka_matrix([X[:3]], [Y[:3]])


def test_other_refusals() -> None:
    with pytest.raises(ValueError, match=r"^rbf_cka: bandwidth must be positive and finite, got 0.0"):
        rbf_cka(X, Y, bandwidth=0.0)
    with pytest.raises(ValueError, match="more than half of the pairs of examples of X are equal"):
        rbf_cka(np.eye(40)[:, :1], Y)
    with pytest.raises(
        ValueError,
        match=r"^cka_matrix: Xs and Ys must hold the same examples .* got 40 rows in Xs\[0\] and 39 in Ys\[1\]",
    ):
        cka_matrix([X], [Y, Y[:-1]])
    with pytest.raises(ValueError, match="at least one layer"):
        cka_matrix([], [X])


@pytest.mark.parametrize("n,d", [(60, 200), (700, 9)])  # by Gram matrices, by features
def test_float32_is_right_to_1e_7_under_a_large_mean(n: int, d: int) -> None:
    rng = np.random.default_rng(1)
    X = (rng.normal(size=(n, d)) + 30.0 * rng.normal(size=d)).astype(np.float32)
    Y = X + rng.normal(size=(n, d)).astype(np.float32)
    before = X.copy()
    for cka in (linear_cka, debiased_linear_cka):
        assert cka(X, Y, dtype=np.float32) == pytest.approx(cka(X, Y), abs=2e-7)
        assert cka(X.astype(np.float64), Y, dtype=np.float32) == pytest.approx(cka(X, Y), abs=2e-7)
    np.testing.assert_array_equal(X, before)


def test_float32_sees_a_constant_and_small_numbers_that_are_none() -> None:
    X = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    with pytest.raises(ValueError, match=r"^debiased_linear_cka: X is constant"):
        debiased_linear_cka(np.full((50, 4), 0.1, dtype=np.float32), X, dtype=np.float32)
    for scale in (1e-25, 1e15):  # float32 has no such squares
        assert debiased_linear_cka(X * np.float32(scale), X, dtype=np.float32) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match=r"^linear_cka: dtype must be float32 or float64, got float16"):
        linear_cka(X, X, dtype=np.float16)
