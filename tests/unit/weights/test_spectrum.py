"""Spectra of factors and matrices, ranks and principal subspaces on cases whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunescope.weights import spectrum
from tunescope.weights.spectrum import (
    dense_spectrum,
    effective_rank,
    leading_svd,
    low_rank_spectrum,
    low_rank_svd,
    numerical_rank,
    principal_subspace_cosine,
    relative_norm,
    stable_rank,
    whole_svd,
)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("m, n, r", [(30, 20, 4), (20, 30, 1), (6, 5, 8), (5, 6, 5)])
def test_factors_give_what_the_product_gives(m: int, n: int, r: int) -> None:
    A, B = random(r, n), random(m, r, seed=1)
    few, all_of_them = low_rank_spectrum(A, B, 0.25), dense_spectrum(0.25 * B @ A)
    assert len(few) == min(r, m, n)
    np.testing.assert_allclose(few, all_of_them[: len(few)], rtol=1e-12)
    assert all_of_them[len(few) :] == pytest.approx(0.0, abs=1e-12)
    U, s, V = low_rank_svd(A, B, 0.25)
    np.testing.assert_allclose((U * s) @ V.T, 0.25 * B @ A, atol=1e-12)
    np.testing.assert_allclose(U.T @ U, np.eye(len(s)), atol=1e-12)


def test_a_factor_of_zeros() -> None:
    s = low_rank_spectrum(random(3, 9), np.zeros((7, 3)))
    np.testing.assert_array_equal(s, np.zeros(3))
    with pytest.raises(ValueError, match=r"effective_rank: all singular values are 0"):
        effective_rank(s)
    with pytest.raises(ValueError, match=r"stable_rank: all singular values are 0"):
        stable_rank(s)


@pytest.mark.parametrize("rank_of", [effective_rank, stable_rank])
def test_ranks_of_equal_values_and_of_one(rank_of) -> None:
    assert rank_of(np.full(7, 0.3)) == pytest.approx(7.0, rel=1e-14)
    assert rank_of(np.array([5.0, 0.0, 0.0])) == 1.0
    s = np.array([3.0, 2.0, 1.0])
    assert rank_of(s) == pytest.approx(rank_of(1e-200 * s), rel=1e-12)


def test_ranks_by_hand() -> None:
    s = np.array([2.0, 1.0, 1.0])
    assert effective_rank(s) == pytest.approx(math.exp(0.5 * math.log(2) + 2 * 0.25 * math.log(4)), rel=1e-14)
    assert stable_rank(s) == pytest.approx(1.5, rel=1e-14)


@pytest.mark.parametrize("bad", [[-1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0], [[1.0]]])
def test_no_spectrum(bad) -> None:
    with pytest.raises(ValueError, match=r"effective_rank: expected singular values"):
        effective_rank(np.array(bad))


def test_relative_norm() -> None:
    W = random(3, 4, 5).astype(np.float32)
    assert relative_norm(0.5 * W, W) == pytest.approx(0.5, rel=1e-15)
    assert relative_norm(np.zeros(4), np.ones(4)) == 0.0
    with pytest.raises(ValueError, match=r"must have one shape, got \(2,\) and \(3,\)"):
        relative_norm(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match=r"W is all zeros"):
        relative_norm(np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"a value is not finite"):
        relative_norm(np.array([np.nan]), np.ones(1))


def test_float32_norms_of_many_values_are_summed_in_float64() -> None:
    W = np.full(3_000_000, 0.1, dtype=np.float32)
    exact = float(W[0]) * math.sqrt(W.size)
    assert spectrum.frobenius(W) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("shape", [(90, 60), (60, 90), (60, 60)])
def test_the_iterative_way_is_the_whole_way(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    M = random(*shape)
    whole = whole_svd(M)
    monkeypatch.setattr(spectrum, "_DENSE_BELOW", 10)
    few = leading_svd(M, 5)
    np.testing.assert_allclose(few.s, whole.s[:5], rtol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(few.U * whole.U[:, :5], axis=0)), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(few.V * whole.V[:, :5], axis=0)), 1.0, atol=1e-9)
    again = leading_svd(M, 5)
    assert all(np.array_equal(a, b) for a, b in zip(few, again, strict=True))


@pytest.mark.parametrize("k", [0, 4])
def test_k_out_of_range(k: int) -> None:
    with pytest.raises(ValueError, match=r"k must lie in 1..3"):
        leading_svd(random(3, 5), k)


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((0, 3)), np.array([[np.nan]])])
def test_no_matrix(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"dense_spectrum: "):
        dense_spectrum(bad)


def test_factors_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"A must be \(r, n\) and B \(m, r\), got \(3, 4\) and \(5, 2\)"):
        low_rank_spectrum(np.ones((3, 4)), np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"scale must be finite"):
        low_rank_spectrum(np.ones((3, 4)), np.ones((5, 3)), np.inf)


def test_subspaces_the_same_apart_and_half() -> None:
    W = np.diag([9.0, 8.0, 7.0, 0.3, 0.2, 0.1])
    assert principal_subspace_cosine(3.0 * W, W, k=3) == pytest.approx((1.0, 1.0), abs=1e-12)
    assert principal_subspace_cosine(W[::-1, ::-1], W, k=3) == pytest.approx((0.0, 0.0), abs=1e-12)
    left_only = W[:, ::-1]
    assert principal_subspace_cosine(left_only, W, k=3) == pytest.approx((1.0, 0.0), abs=1e-12)
    turned = np.diag([9.0, 8.0, 0.3, 7.0, 0.2, 0.1])
    assert principal_subspace_cosine(turned, W, k=3) == pytest.approx((math.sqrt(2 / 3),) * 2, abs=1e-12)


def test_unrelated_subspaces_score_what_chance_gives() -> None:
    m, n, k = 60, 40, 6
    found = [principal_subspace_cosine(random(m, n, seed=2 * i), random(m, n, seed=2 * i + 1), k=k) for i in range(200)]
    left, right = np.mean(np.square(found), axis=0)
    assert left == pytest.approx(k / m, rel=0.03)
    assert right == pytest.approx(k / n, rel=0.03)


def test_a_subspace_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"X has rank 2, less than k = 3"):
        principal_subspace_cosine(np.diag([1.0, 1.0, 0.0, 0.0]), np.eye(4), k=3)


def test_numerical_rank() -> None:
    A, B = random(3, 40), random(50, 3, seed=1)
    assert numerical_rank(dense_spectrum(B @ A), (50, 40)) == 3
    assert numerical_rank(np.zeros(3), (50, 40)) == 0
