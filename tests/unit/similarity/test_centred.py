"""Rows about their mean: their digits, whatever the mean, and their squared norms."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity.centred import Centred, centred_rows


def _centred(X: np.ndarray, dtype: type[np.floating] | None = None) -> Centred:
    return centred_rows("here", "X", X, np.empty(X.shape, dtype=dtype or X.dtype))


@pytest.mark.parametrize("dtype,tolerance", [(np.float32, 3e-6), (np.float64, 1e-11)])
@pytest.mark.parametrize("offset", [0.0, 30.0, 1000.0])
def test_rows_and_their_norms(dtype: type[np.floating], tolerance: float, offset: float) -> None:
    X = (np.random.default_rng(0).normal(size=(70, 9)) + offset).astype(dtype)
    before = X.copy()
    found, exact = _centred(X), X.astype(np.float64) - X.astype(np.float64).mean(axis=0)
    np.testing.assert_array_equal(X, before)
    assert found.values.dtype == dtype
    np.testing.assert_allclose(found.values, exact, atol=tolerance)
    np.testing.assert_allclose(found.square_norms, (exact**2).sum(axis=1), rtol=20 * tolerance)
    assert found.square_norms.dtype == np.float64


def test_wide_rows_for_narrow_products_are_rounded_once() -> None:
    X = np.random.default_rng(1).normal(size=(20, 3)) + 1e6
    found = _centred(X, np.float32)
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, X - X.mean(axis=0), atol=1e-6)


def test_a_spread_of_a_few_units_in_the_last_place_is_kept() -> None:
    X = (np.float32(1000.0) + np.spacing(np.float32(1000.0)) * np.arange(6, dtype=np.float32))[:, None]
    found = _centred(X)
    exact = X.astype(np.float64) - X.astype(np.float64).mean()
    np.testing.assert_allclose(found.values, exact, rtol=1e-6)
    np.testing.assert_allclose(found.square_norms, exact[:, 0] ** 2, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_rows_whose_squares_float32_does_not_hold_become_float64(scale: float) -> None:
    X = (np.random.default_rng(2).normal(size=(30, 4)) * scale).astype(np.float32)
    found = _centred(X)
    assert found.values.dtype == np.float64
    exact = X.astype(np.float64) - X.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(found.square_norms, (exact**2).sum(axis=1), rtol=1e-5)


def test_values_too_large_to_be_added_up_have_a_mean() -> None:
    X = np.full((40, 2), 3e38, dtype=np.float32)
    X[::2] = 1e38
    found = _centred(X)
    np.testing.assert_allclose(found.values[0], -1e38, rtol=1e-6)
    assert found.values.dtype == np.float64


def test_bad_values_and_constants_are_refused() -> None:
    X = np.random.default_rng(3).normal(size=(10, 3)).astype(np.float32)
    X[4, 2] = np.nan
    with pytest.raises(ValueError, match=r"^here: X must be finite numbers, got nan in row 4, feature 2\.$"):
        _centred(X)
    with pytest.raises(ValueError, match=r"^here: X is constant"):
        _centred(np.full((10, 3), 0.1, dtype=np.float32))
