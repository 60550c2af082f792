"""Sums about one shift become sums about another without the examples."""

from __future__ import annotations

import numpy as np

from tunescope.similarity.moments import Moments, shifted_rows

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 4)) + 3.0, RNG.normal(size=(30, 2)) - 1.0


def _phi(X: np.ndarray) -> np.ndarray:
    return np.column_stack([X, np.ones(len(X)), (X**2).sum(axis=1)])


def _moments(X: np.ndarray, Y: np.ndarray, shift_x: np.ndarray, shift_y: np.ndarray) -> Moments:
    found = Moments(shift_x, shift_y)
    found.add(shifted_rows(X, shift_x, np.float64), shifted_rows(Y, shift_y, np.float64))
    return found


def test_the_matrix_is_what_the_module_states() -> None:
    a, b = RNG.normal(size=4), RNG.normal(size=2)
    np.testing.assert_allclose(_moments(X, Y, a, b).Z, _phi(X - a).T @ _phi(Y - b), rtol=1e-12)


def test_moving_is_exact() -> None:
    a, b, c, e = RNG.normal(size=4), RNG.normal(size=2), RNG.normal(size=4), RNG.normal(size=2)
    np.testing.assert_allclose(_moments(X, Y, a, b).moved_to(c, e).Z, _moments(X, Y, c, e).Z, rtol=1e-11)


def test_centred_is_about_the_means() -> None:
    found = _moments(X, Y, X[0], Y[0]).centred()
    np.testing.assert_allclose(found.shift_x, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.Z, _phi(X - X.mean(axis=0)).T @ _phi(Y - Y.mean(axis=0)), rtol=1e-10, atol=1e-10)


def test_merging_leaves_the_other_alone_and_counts_all() -> None:
    first, second = _moments(X[:7], Y[:7], X[0], Y[0]), _moments(X[7:], Y[7:], X[9], Y[9])
    before = second.Z.copy()
    first.merge(second)
    assert first.num_examples == 30
    np.testing.assert_array_equal(second.Z, before)
    np.testing.assert_allclose(first.Z, _moments(X, Y, X[0], Y[0]).Z, rtol=1e-11)


def test_rows_are_shifted_before_they_are_rounded() -> None:
    far = 1e6 + np.linspace(0.0, 1.0, 5)[:, None]
    found = shifted_rows(far, np.array([1e6]), np.float32)
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.exact[:, 0], np.linspace(0.0, 1.0, 5), atol=1e-7)


def test_float32_rows_are_shifted_as_they_are_and_written_over_only_where_allowed() -> None:
    rows, shift = (X + 100.0).astype(np.float32), np.full(4, 103.25)
    before = rows.copy()
    found = shifted_rows(rows, shift, np.float32)
    np.testing.assert_array_equal(rows, before)
    np.testing.assert_array_equal(found.values, (before - shift).astype(np.float32))
    over = shifted_rows(rows, shift, np.float32, in_place=True)
    np.testing.assert_array_equal(over.values, found.values)
    assert over.values is rows
    np.testing.assert_allclose(found.sums, found.exact.sum(axis=0), rtol=1e-14)
