"""X'Y is what NumPy gives, half of it made where it is symmetric, and its diagonal is exact."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity import products
from tunescope.similarity.products import add_product, add_upper, exact_diagonal, float32_holds, mirror, product

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d_x,d_y", [(5, 3), (96, 96), (97, 600), (600, 97)])
def test_products(d_x: int, d_y: int, dtype: type[np.floating], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_ROWS_PER_PRODUCT", 50)
    X, Y = RNG.normal(size=(120, d_x)).astype(dtype), RNG.normal(size=(120, d_y)).astype(dtype)
    for A, B in ((X, Y), (X, X), (X, X.copy())):
        found = product(A, B)
        assert found.dtype == np.float64
        expected = A.astype(np.float64).T @ B.astype(np.float64)
        np.testing.assert_allclose(found, expected, atol=1e-12 if dtype is np.float64 else 1e-4)
    np.testing.assert_array_equal(product(X, X), product(X, X).T)


def test_diagonals_of_float32_products_are_exact() -> None:
    X = RNG.normal(size=(3000, 40)).astype(np.float32)
    Y = X + RNG.normal(size=X.shape).astype(np.float32)
    for A, B in ((X, X), (X, Y)):
        exact = (A.astype(np.float64) * B.astype(np.float64)).sum(axis=0)
        np.testing.assert_allclose(exact_diagonal(A, B), exact, rtol=1e-13)
        np.testing.assert_allclose(product(A, B).diagonal(), exact, rtol=1e-13)
    assert np.abs((X.T @ X).diagonal() / (X.astype(np.float64) ** 2).sum(axis=0) - 1.0).max() > 1e-9


def test_sums_are_added_to_and_mirrored() -> None:
    X, P = RNG.normal(size=(40, 130)), RNG.normal(size=(130, 130))
    P = P + P.T
    found = P.copy()
    add_upper(found, X, exact_diagonal(X, X))
    mirror(found)
    np.testing.assert_allclose(found, P + X.T @ X, atol=1e-12)
    Y = RNG.normal(size=(40, 7))
    found = np.ones((130, 7))
    add_product(found, X, Y)
    np.testing.assert_allclose(found, 1.0 + X.T @ Y, atol=1e-12)


@pytest.mark.parametrize("scale,holds", [(1e-9, False), (1e-3, True), (1.0, True), (1e4, True), (1e9, False)])
def test_what_float32_holds(scale: float, holds: bool) -> None:
    X = scale * RNG.normal(size=(30, 8))
    assert float32_holds(float((X**2).sum()), len(X)) is holds
