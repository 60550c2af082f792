"""HSIC, biased and unbiased, against the papers' formulas written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tunescope.similarity.hsic import cka_ratio, hsic_biased, hsic_debiased, without_rounding

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 2))
K, L = X @ X.T, Y @ Y.T


def test_biased_is_gretton_s_trace() -> None:
    H = np.eye(7) - 1.0 / 7
    assert hsic_biased(K, L) == pytest.approx(np.trace(K @ H @ L @ H) / 36, rel=1e-12)


def test_debiased_is_song_s_equation_5() -> None:
    n, one = 7, np.ones(7)
    A, B = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    expected = (
        np.trace(A @ B) + (one @ A @ one) * (one @ B @ one) / ((n - 1) * (n - 2)) - 2 * (one @ A @ B @ one) / (n - 2)
    )
    assert hsic_debiased(K, L) == pytest.approx(expected / (n * (n - 3)), rel=1e-12)


def test_debiased_is_the_u_statistic_over_distinct_examples() -> None:
    def mean(terms: list[float]) -> float:
        return sum(terms) / len(terms)

    pairs = mean([K[i, j] * L[i, j] for i, j in itertools.permutations(range(7), 2)])
    triples = mean([K[i, j] * L[i, q] for i, j, q in itertools.permutations(range(7), 3)])
    quadruples = mean([K[i, j] * L[q, r] for i, j, q, r in itertools.permutations(range(7), 4)])
    assert hsic_debiased(K, L) == pytest.approx(pairs - 2 * triples + quadruples, rel=1e-12)


def test_debiased_does_not_see_the_diagonal_nor_a_shift() -> None:
    assert hsic_debiased(K + np.diag(RNG.normal(size=7)), L) == pytest.approx(hsic_debiased(K, L), rel=1e-12)
    far = X + 1000.0
    assert hsic_debiased(far @ far.T, L) == pytest.approx(hsic_debiased(K, L), rel=1e-6)


def test_debiased_is_zero_on_average_where_biased_is_not() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        A, B = rng.normal(size=(8, 20)), rng.normal(size=(8, 20))
        found.append((hsic_debiased(A @ A.T, B @ B.T), hsic_biased(A @ A.T, B @ B.T)))
    debiased, biased = np.array(found).T
    assert abs(debiased.mean()) < 4 * debiased.std() / 20
    assert biased.mean() > 50 * biased.std() / 20


@pytest.mark.parametrize(
    "gram,message",
    [
        (np.ones((3, 4)), "K must be a square Gram matrix"),
        (np.triu(np.ones((7, 7))), "K must be symmetric"),
        (np.full((7, 7), np.nan), "K must be finite"),
        (np.eye(6), "K and L must hold the same examples in the same order, got 6 rows and 7"),
    ],
)
def test_what_is_no_gram_matrix_is_refused(gram: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"^hsic_debiased: {message}"):
        hsic_debiased(gram, L)


def test_four_examples_are_needed() -> None:
    with pytest.raises(ValueError, match=r"^hsic_debiased: needs at least 4 examples, got 3"):
        hsic_debiased(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match=r"^hsic_biased: needs at least 2 examples, got 1"):
        hsic_biased(np.eye(1), np.eye(1))


def test_the_ratio_is_nan_only_where_a_self_term_is_not_positive() -> None:
    found = cka_ratio(np.array([1.0, 1.0, -3.0, 9.0]), np.array([0.0, -1.0, 4.0, 1.0]), np.ones(4))
    assert np.isnan(found[:2]).all()
    assert found[2:].tolist() == [-1.5, 9.0]  # not cut


def test_rounding_is_told_from_a_self_term() -> None:
    assert without_rounding(1e-15, 1.0, np.float64) == 0.0
    assert without_rounding(1e-12, 1.0, np.float64) == 1e-12
    assert without_rounding(1e-12, 1.0, np.float32) == 0.0
