"""Sums over examples from which CKA of linear kernels follows exactly, in one matrix that can be shifted and added.

Legend: n examples; x_i, y_i features of one example on both sides, d_x and d_y of them, counted from shifts c_x, c_y;
q = |x|^2. With phi(x) = (x, 1, |x|^2), the sum over examples of phi(x_i) phi(y_i)' is

    Z = [ X'Y        sum x     sum x q_y   ]
        [ sum y'     n         sum q_y     ]      (d_x + 2, d_y + 2)
        [ sum q_x y' sum q_x   sum q_x q_y ]

and phi(x - a) = T_a phi(x) with T_a = [[I, -a, 0], [0, 1, 0], [-2a', |a|^2, 1]]: sums about one shift become sums about another
as T_a Z T_b', without seeing an example again. So Z is taken about a point near the data, where floats do not cancel; two Z with
different shifts are added after one is moved; and at the end sums about the means, where `hsic.from_centred` holds, are read
off (`Moments.about_means`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tunescope.similarity.products import COLUMNS_PER_PANEL, add_product, add_upper, mirror, square_norms, widened


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Examples of one side about a shift, as all sums take them."""

    values: np.ndarray
    """(b, d) x - shift in the dtype of products."""
    square_norms: np.ndarray
    """(b,) |x|^2 of these values, float64, each summed in the dtype of products."""
    sums: np.ndarray
    """(d,) sum of x, in float64 all through: sums about another shift must tell a constant."""
    squares: np.ndarray
    """(d,) sum of x_j^2, in float64 all through."""

    @cached_property
    def exact(self) -> np.ndarray:
        """(b, d) the same values in float64."""
        return self.values.astype(np.float64, copy=False)

    @classmethod
    def of(cls, values: np.ndarray) -> Rows:
        """Of rows (b, d) that are shifted already; not copied."""
        sums, squares = np.zeros(values.shape[1]), np.zeros(values.shape[1])
        for exact in widened(values):
            sums += np.ones(len(exact)) @ exact
            squares += np.einsum("nd,nd->d", exact, exact)
        return cls(values=values, square_norms=square_norms(values), sums=sums, squares=squares)


def shifted_rows(X: np.ndarray, shift: np.ndarray, dtype: type[np.floating]) -> Rows:
    """X (b, d) minus the shift (d,) as numbers of dtype, rounded once."""
    narrow = shift.astype(dtype)
    # One rounding either way; float64 in between costs more than the sums.
    fits = X.dtype == dtype and np.array_equal(narrow, shift)
    return Rows.of(X - narrow if fits else (X - shift).astype(dtype, copy=False))


@dataclass(frozen=True, kw_only=True)
class AboutMeans:
    """Of examples counted from their means: what `hsic.from_centred` takes, and the mean by which a constant is told."""

    square: float
    """||X'Y||_F^2"""
    q_product: float
    """q_x'q_y"""
    sum_q_x: float
    sum_q_y: float
    mean_x: np.ndarray
    """(d_x,)"""


class Moments:
    """Z of a number of examples.

    Attributes:
        shift_x: (d_x,) c_x, float64.
        shift_y: (d_y,) c_y, float64.
    """

    def __init__(self, shift_x: np.ndarray, shift_y: np.ndarray, Z: np.ndarray | None = None) -> None:
        self.shift_x, self.shift_y = shift_x, shift_y
        self._Z = np.zeros((len(shift_x) + 2, len(shift_y) + 2)) if Z is None else Z
        self._of_one_side: bool | None = None
        self._upper_only = False

    @property
    def Z(self) -> np.ndarray:
        """(d_x + 2, d_y + 2) float64."""
        if self._upper_only:
            mirror(self._Z[:-2, :-2])
            self._upper_only = False
        return self._Z

    @property
    def num_examples(self) -> int:
        return round(float(self._Z[-2, -2]))

    def add(self, x: Rows, y: Rows) -> None:
        """Counts examples in; products in the rows' dtype, other sums in float64. Half the work where y is x, always or never."""
        assert self._of_one_side in (None, x is y), "sums of one side with itself are symmetric, others are not"
        self._of_one_side = x is y
        Z = self._Z
        if x is y:
            add_upper(Z[:-2, :-2], x.values, x.squares)
            self._upper_only = True
        else:
            add_product(Z[:-2, :-2], x.values, y.values)
        x_q_y = y.square_norms.astype(x.values.dtype, copy=False) @ x.values
        Z[:-2, -2] += x.sums
        Z[:-2, -1] += x_q_y
        Z[-2, :-2] += y.sums
        Z[-1, :-2] += x_q_y if x is y else x.square_norms.astype(y.values.dtype, copy=False) @ y.values
        Z[-2, -2] += len(x.values)
        Z[-2, -1] += y.squares.sum()
        Z[-1, -2] += x.squares.sum()
        Z[-1, -1] += x.square_norms @ y.square_norms

    def moved_to(self, shift_x: np.ndarray, shift_y: np.ndarray) -> Moments:
        """The same examples counted from other shifts."""
        Z = _moved(self.Z, shift_x - self.shift_x)
        return Moments(shift_x, shift_y, np.ascontiguousarray(_moved(Z.T, shift_y - self.shift_y).T))

    def merge(self, other: Moments) -> None:
        """Counts in the examples of another, moved to these shifts."""
        self.Z[...] += other.moved_to(self.shift_x, self.shift_y).Z

    def centred(self) -> Moments:
        """About the means: the sums of x and of y become 0, up to rounding."""
        n = self._Z[-2, -2]
        return self.moved_to(self.shift_x + self._Z[:-2, -2] / n, self.shift_y + self._Z[-2, :-2] / n)

    def about_means(self) -> AboutMeans:
        """What a CKA takes of `centred`, without another matrix like Z."""
        Z, n = self._Z, float(self._Z[-2, -2])
        sum_x, sum_y = Z[:-2, -2], Z[-2, :-2]
        a, b = sum_x / n, sum_y / n
        A, B = float(a @ a), float(b @ b)
        square = a_P_b = 0.0
        for rows, columns, weight in self._panels():
            panel = Z[:-2, :-2][rows, columns]
            a_P_b += weight * float(a[rows] @ panel @ b[columns])
            moved = np.outer(sum_x[rows], -b[columns])
            moved += panel
            square += weight * float(np.vdot(moved, moved))
        # Of (q_x - 2 a'x + A)(q_y - 2 b'y + B), each product summed over examples.
        q_product = float(
            Z[-1, -1]
            - 2.0 * (Z[-1, :-2] @ b + a @ Z[:-2, -1])
            + 4.0 * a_P_b
            + (Z[-1, -2] - 2.0 * n * A) * B
            + (Z[-2, -1] - 2.0 * n * B) * A
            + n * A * B
        )
        return AboutMeans(
            square=square,
            q_product=q_product,
            sum_q_x=float(Z[-1, -2] - n * A),
            sum_q_y=float(Z[-2, -1] - n * B),
            mean_x=self.shift_x + a,
        )

    def _panels(self) -> Iterator[tuple[slice, slice, float]]:
        """Rows and columns that make up X'Y; twice where they stand for their mirror image too."""
        for start in range(0, len(self.shift_x), COLUMNS_PER_PANEL):
            rows = slice(start, start + COLUMNS_PER_PANEL)
            if self._upper_only:
                yield rows, rows, 1.0
                yield rows, slice(rows.stop, None), 2.0
            else:
                yield rows, slice(None), 1.0


def _moved(Z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """T_a Z."""
    if not a.any():
        return Z.copy()
    moved = Z.copy()
    moved[:-2] -= np.outer(a, Z[-2])
    moved[-1] += (a @ a) * Z[-2] - 2.0 * (a @ Z[:-2])
    return moved
