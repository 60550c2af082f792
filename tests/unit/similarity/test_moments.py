"""Sums about one shift become sums about another without the examples."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_float32_rows_are_shifted_as_they_are() -> None:
    rows, shift = (X + 100.0).astype(np.float32), np.full(4, 103.25)
    before = rows.copy()
    found = shifted_rows(rows, shift, np.float32)
    np.testing.assert_array_equal(rows, before)
    np.testing.assert_array_equal(found.values, (before - shift).astype(np.float32))
    np.testing.assert_allclose(found.sums, found.exact.sum(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.squares, (found.exact**2).sum(axis=0), rtol=1e-14)


@pytest.mark.parametrize("d", [3, 96, 200])
def test_one_side_with_itself_is_symmetric_at_any_time(d: int) -> None:
    rows = RNG.normal(size=(50, d))
    shift = rows[0]
    found = Moments(shift, shift)
    for start in range(0, 50, 10):
        part = shifted_rows(rows[start : start + 10], shift, np.float64)
        found.add(part, part)
        if start == 20:
            found.merge(_moments(rows[:5], rows[:5], rows[1], rows[1]))  # reads and writes all of Z halfway
    both = np.concatenate([rows, rows[:5]])
    np.testing.assert_allclose(found.Z, _phi(both - shift).T @ _phi(both - shift), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.Z[:-2, :-2], found.Z[:-2, :-2].T, rtol=0.0)
    part = shifted_rows(rows, shift, np.float64)
    with pytest.raises(AssertionError, match="symmetric"):
        found.add(part, shifted_rows(rows, shift, np.float64))


@pytest.mark.parametrize("d_y", [2, 4, 130])
@pytest.mark.parametrize("far", [0.0, 30.0])
def test_sums_about_the_means_are_those_of_centred(d_y: int, far: float) -> None:
    rows = RNG.normal(size=(60, d_y))
    x, y = shifted_rows(X, X[0] + far, np.float64), shifted_rows(rows[:30], rows[0], np.float64)
    for one, other in ((x, y), (y, x), (y, y)):
        found = Moments(X[0] + far if one is x else rows[0], X[0] + far if other is x else rows[0])
        found.add(one, other)
        about, Z = found.about_means(), found.centred().Z
        expected = [(Z[:-2, :-2] ** 2).sum(), Z[-1, -1], Z[-1, -2], Z[-2, -1]]
        assert [about.square, about.q_product, about.sum_q_x, about.sum_q_y] == pytest.approx(expected, rel=1e-8)
        np.testing.assert_allclose(about.mean_x, (X if one is x else rows[:30]).mean(axis=0), rtol=1e-12)
