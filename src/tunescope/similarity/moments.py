"""Sums over examples from which CKA of linear kernels follows exactly, in one matrix that can be shifted and added.

Legend: n examples; x_i, y_i features of one example on both sides, d_x and d_y of them, counted from shifts c_x, c_y;
q = |x|^2. With phi(x) = (x, 1, |x|^2), the sum over examples of phi(x_i) phi(y_i)' is

    Z = [ X'Y        sum x     sum x q_y   ]
        [ sum y'     n         sum q_y     ]      (d_x + 2, d_y + 2)
        [ sum q_x y' sum q_x   sum q_x q_y ]

and phi(x - a) = T_a phi(x) with T_a = [[I, -a, 0], [0, 1, 0], [-2a', |a|^2, 1]]: sums about one shift become sums about another
as T_a Z T_b', without seeing an example again. So Z is taken about a point near the data, where floats do not cancel; two Z with
different shifts are added after one is moved; and at the end Z is moved to the means, where `hsic.from_centred` holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tunescope.similarity.cross import add_product, square_norms

_ROWS_WIDENED = 256
"""Rows that are in float64 at once."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Examples of one side about a shift, as all sums take them."""

    values: np.ndarray
    """(b, d) x - shift in the dtype of products."""
    square_norms: np.ndarray
    """(b,) |x|^2 of these values, float64."""
    sums: np.ndarray
    """(d,) their sum, float64."""

    @cached_property
    def exact(self) -> np.ndarray:
        """(b, d) the same values in float64."""
        return self.values.astype(np.float64, copy=False)


def shifted_rows(X: np.ndarray, shift: np.ndarray, dtype: type[np.floating], *, in_place: bool = False) -> Rows:
    """X (b, d) minus the shift (d,) as numbers of dtype, rounded once; X may be written over if `in_place`."""
    narrow = shift.astype(dtype)
    # One rounding either way; float64 in between costs more than the sums.
    fits = X.dtype == dtype and np.array_equal(narrow, shift)
    if fits and in_place:
        values = np.subtract(X, narrow, out=X)
    else:
        values = X - narrow if fits else (X - shift).astype(dtype, copy=False)
    q, sums = np.empty(len(values)), np.zeros(values.shape[1])
    # In float64 all through, for sums about another shift tell a constant; a few rows at a time stay in the cache.
    for start in range(0, len(values), _ROWS_WIDENED):
        exact = values[start : start + _ROWS_WIDENED].astype(np.float64, copy=False)
        q[start : start + _ROWS_WIDENED] = square_norms(exact)
        sums += exact.sum(axis=0)
    return Rows(values=values, square_norms=q, sums=sums)


class Moments:
    """Z of a number of examples.

    Attributes:
        shift_x: (d_x,) c_x, float64.
        shift_y: (d_y,) c_y, float64.
        Z: (d_x + 2, d_y + 2) float64.
    """

    def __init__(self, shift_x: np.ndarray, shift_y: np.ndarray, Z: np.ndarray | None = None) -> None:
        self.shift_x, self.shift_y = shift_x, shift_y
        self.Z = np.zeros((len(shift_x) + 2, len(shift_y) + 2)) if Z is None else Z

    @property
    def num_examples(self) -> int:
        return round(float(self.Z[-2, -2]))

    def add(self, x: Rows, y: Rows) -> None:
        """Counts examples in; products in the rows' dtype, other sums in float64."""
        Z = self.Z
        add_product(Z[:-2, :-2], x.values, y.values)
        Z[:-2, -2] += x.sums
        Z[:-2, -1] += y.square_norms.astype(x.values.dtype, copy=False) @ x.values
        Z[-2, :-2] += y.sums
        Z[-1, :-2] += x.square_norms.astype(y.values.dtype, copy=False) @ y.values
        Z[-2, -2] += len(x.values)
        Z[-2, -1] += y.square_norms.sum()
        Z[-1, -2] += x.square_norms.sum()
        Z[-1, -1] += x.square_norms @ y.square_norms

    def moved_to(self, shift_x: np.ndarray, shift_y: np.ndarray) -> Moments:
        """The same examples counted from other shifts."""
        Z = _moved(self.Z, shift_x - self.shift_x)
        return Moments(shift_x, shift_y, np.ascontiguousarray(_moved(Z.T, shift_y - self.shift_y).T))

    def merge(self, other: Moments) -> None:
        """Counts in the examples of another, moved to these shifts."""
        self.Z += other.moved_to(self.shift_x, self.shift_y).Z

    def centred(self) -> Moments:
        """About the means: the sums of x and of y become 0, up to rounding."""
        n = self.Z[-2, -2]
        return self.moved_to(self.shift_x + self.Z[:-2, -2] / n, self.shift_y + self.Z[-2, :-2] / n)


def _moved(Z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """T_a Z."""
    if not a.any():
        return Z.copy()
    moved = Z.copy()
    moved[:-2] -= np.outer(a, Z[-2])
    moved[-1] += (a @ a) * Z[-2] - 2.0 * (a @ Z[:-2])
    return moved
