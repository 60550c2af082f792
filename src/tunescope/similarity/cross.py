"""tr(K~L~) of linear kernels without holding an (n, n) matrix: by features or by tiles of the Gram matrices, whichever costs less.

Legend: n examples; d features; X, Y centred; K = XX', L = YY', K~ with a diagonal of zeros; q_i = |x_i|^2.

    features: tr(K~L~) = ||X'Y||_F^2 - q_x'q_y      n (d_x^2 + d_y^2 + 2 d_x d_y) operations for X'X, Y'Y (symmetric) and X'Y
    gram:     the sum of k_ij l_ij over i /= j       n^2 (d_x + d_y), symmetric too, and some work per entry

The Gram form is the cheaper one for few examples, and for all pairs of many layers up to tens of thousands: a layer's Gram is
made once, however many layers it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Form = Literal["gram", "features"]

_COST_PER_ENTRY = 300
"""What reading, widening and summing one entry of a Gram matrix costs, in operations of a matrix product (measured)."""
_ROWS_PER_PRODUCT = 4096
"""So many rows are summed in the products' own dtype; beyond, in float64. CKA of float32 products is right to 1e-7 so."""
_ROWS_PER_TILE = 1024
"""Of the Gram matrices of one pair of layers; so many entries of a row are summed in the products' own dtype."""
_TILE_BYTES = 96 * 2**20
"""All layers' tiles together stay below this."""


@dataclass(frozen=True, kw_only=True)
class Traces:
    """tr(K~L~) over all pairs of layers, and of each layer with itself."""

    cross: np.ndarray
    """(num_x, num_y)"""
    self_x: np.ndarray
    """(num_x,)"""
    self_y: np.ndarray
    """(num_y,)"""


def cheaper_form(n: int, d_x: int, d_y: int, *, num_x: int = 1, num_y: int = 1) -> Form:
    """The form that takes fewer operations for all pairs of `num_x` layers of d_x and `num_y` of d_y features.

    Returns:
        "gram" or "features"; at d = 2048 they cross near n = 3,600 for one pair, near 40,000 for 23 x 23.

    Example:
        >>> cheaper_form(750, 2048, 2048), cheaper_form(11_873, 2048, 2048)
        ('gram', 'features')
    """
    return "gram" if n <= crossing(d_x, d_y, num_x=num_x, num_y=num_y) else "features"


def crossing(d_x: int, d_y: int, *, num_x: int = 1, num_y: int = 1) -> int:
    """The most examples for which Gram matrices are the cheaper form; arguments as in `cheaper_form`."""
    features = num_x * d_x**2 + num_y * d_y**2 + 2 * num_x * num_y * d_x * d_y
    gram = num_x * (d_x + _COST_PER_ENTRY) + num_y * (d_y + _COST_PER_ENTRY) + 2 * (num_x * num_y - 1)
    return features // gram


def off_diagonal_traces(
    Xs: Sequence[np.ndarray], Ys: Sequence[np.ndarray], *, form: Form, dtype: type[np.floating] = np.float64
) -> Traces:
    """tr(K~L~) of every X with every Y, of every X with itself and of every Y with itself.

    Args:
        Xs: Layers, each (n, d_x) float and centred; widths may differ.
        Ys: Layers of the same examples. The same list object as Xs costs half.
        form: See the module.
        dtype: Of the products; sums are float64.
    """
    wide_X = [X.astype(dtype, copy=False) for X in Xs]
    wide_Y = wide_X if Ys is Xs else [Y.astype(dtype, copy=False) for Y in Ys]
    if form == "features":
        return _by_features(wide_X, wide_Y)
    if len(Xs) == len(Ys) == 1:
        if Ys is Xs:
            own = gram_rows(wide_X, ((0, 0),)).sum(axis=1)
            return Traces(cross=own[None], self_x=own, self_y=own)
        cross, self_x, self_y = gram_rows([wide_X[0], wide_Y[0]], ((0, 1), (0, 0), (1, 1))).sum(axis=1)
        return Traces(cross=cross[None, None], self_x=self_x[None], self_y=self_y[None])
    return _by_tiles(wide_X, wide_Y)


def gram_rows(sides: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """(pairs, n) float64: of each pair of sides, by row i, the sum of k_ij l_ij over j /= i.

    A side's Gram matrix is made once whatever the pairs, and half of it, `_ROWS_PER_TILE` rows and columns at a time.

    Args:
        sides: Each (n, d) of one dtype, that of the products; widths may differ.
        pairs: Places in `sides`.
    """
    n = len(sides[0])
    sums = np.zeros((len(pairs), n))
    for start in range(0, n, _ROWS_PER_TILE):
        rows = slice(start, start + _ROWS_PER_TILE)
        for other in range(start, n, _ROWS_PER_TILE):
            columns = slice(other, other + _ROWS_PER_TILE)
            tiles = [side[rows] @ side[columns].T for side in sides]
            if start == other:
                for tile in tiles:
                    np.fill_diagonal(tile, 0.0)
            for of_pair, (i, j) in zip(sums, pairs, strict=True):
                of_pair[rows] += np.einsum("ij,ij->i", tiles[i], tiles[j])
                if start != other:
                    of_pair[columns] += np.einsum("ij,ij->j", tiles[i], tiles[j])
    return sums


def product(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """X'Y (d_x, d_y) in float64 from products in X's dtype."""
    if X.dtype == np.float64 or len(X) <= _ROWS_PER_PRODUCT:
        return np.asarray(X.T @ Y, dtype=np.float64)
    total = np.zeros((X.shape[1], Y.shape[1]))
    add_product(total, X, Y)
    return total


def add_product(total: np.ndarray, X: np.ndarray, Y: np.ndarray) -> None:
    """Adds X'Y to `total` (d_x, d_y), float64."""
    for start in range(0, len(X), _ROWS_PER_PRODUCT):
        rows = slice(start, start + _ROWS_PER_PRODUCT)
        total += X[rows].T @ Y[rows]


def trace_from_product(P: np.ndarray, q_x: np.ndarray, q_y: np.ndarray) -> float:
    """tr(K~L~) from P = X'Y (d_x, d_y) and the squared norms (n,) of rows."""
    return sum_of_squares(P) - float(q_x @ q_y)


def sum_of_squares(P: np.ndarray) -> float:
    """||P||_F^2 of a float64 matrix."""
    return float(np.vdot(P, P))


def square_norms(X: np.ndarray) -> np.ndarray:
    """q (n,) float64: |x_i|^2, a row's squares summed in X's dtype."""
    return np.asarray(np.einsum("nd,nd->n", X, X), dtype=np.float64)


def _by_features(Xs: list[np.ndarray], Ys: list[np.ndarray]) -> Traces:
    q_x = [square_norms(X) for X in Xs]
    q_y = q_x if Ys is Xs else [square_norms(Y) for Y in Ys]
    self_x = np.array([trace_from_product(product(X, X), q, q) for X, q in zip(Xs, q_x, strict=True)])
    if Ys is Xs:
        cross = np.diag(self_x)
        for i in range(len(Xs)):
            for j in range(i):
                cross[i, j] = cross[j, i] = trace_from_product(product(Xs[i], Xs[j]), q_x[i], q_x[j])
        return Traces(cross=cross, self_x=self_x, self_y=self_x)
    self_y = np.array([trace_from_product(product(Y, Y), q, q) for Y, q in zip(Ys, q_y, strict=True)])
    cross = np.array(
        [
            [trace_from_product(product(X, Y), p, q) for Y, q in zip(Ys, q_y, strict=True)]
            for X, p in zip(Xs, q_x, strict=True)
        ]
    )
    return Traces(cross=cross, self_x=self_x, self_y=self_y)


def _by_tiles(Xs: list[np.ndarray], Ys: list[np.ndarray]) -> Traces:
    n, same = len(Xs[0]), Ys is Xs
    num_layers = len(Xs) + (0 if same else len(Ys))
    # A tile is held in the products' dtype for one layer and in float64 for all.
    side = max(64, int((_TILE_BYTES / 8 / (num_layers + 1)) ** 0.5))
    side = -(-n // -(-n // side))
    cross, self_x, self_y = np.zeros((len(Xs), len(Ys))), np.zeros(len(Xs)), np.zeros(len(Ys))
    for start in range(0, n, side):
        for other in range(start, n, side):
            weight = 1.0 if start == other else 2.0
            rows, columns = slice(start, start + side), slice(other, other + side)
            tiles_x = _tiles(Xs, rows, columns)
            tiles_y = tiles_x if same else _tiles(Ys, rows, columns)
            cross += weight * (tiles_x @ tiles_y.T)
            self_x += weight * np.einsum("ln,ln->l", tiles_x, tiles_x)
            if not same:
                self_y += weight * np.einsum("ln,ln->l", tiles_y, tiles_y)
    return Traces(cross=cross, self_x=self_x, self_y=self_x if same else self_y)


def _tiles(layers: list[np.ndarray], rows: slice, columns: slice) -> np.ndarray:
    """(layers, entries) of each layer's K~ in these rows and columns, float64."""
    num_rows, num_columns = len(layers[0][rows]), len(layers[0][columns])
    tiles = np.empty((len(layers), num_rows, num_columns))
    for tile, X in zip(tiles, layers, strict=True):
        tile[...] = X[rows] @ X[columns].T
        if rows == columns:
            np.fill_diagonal(tile, 0.0)
    return tiles.reshape(len(layers), -1)
