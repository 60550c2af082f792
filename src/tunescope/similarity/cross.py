"""tr(K~L~) of linear kernels without holding an (n, n) matrix: by features or by panels of the Gram matrices, whichever costs less.

Legend: n examples; d features; X, Y centred; K = XX', L = YY', K~ with a diagonal of zeros; q_i = |x_i|^2.

    features: tr(K~L~) = ||X'Y||_F^2 - q_x'q_y      n (d_x^2 + d_y^2 + 2 d_x d_y) operations for X'X, Y'Y (symmetric) and X'Y
    gram:     the sum of k_ij l_ij over i /= j       n^2 (d_x + d_y), symmetric too, and some work per entry

The Gram form is the cheaper one for few examples, and for all pairs of many layers up to tens of thousands: a layer's Gram is
made once, however many layers it is compared with. What products of features are made of, and how exact: `products`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunescope.similarity.products import product, square_norms, sum_of_squares
from tunescope.similarity.room import Room

Form = Literal["gram", "features"]

_COST_PER_ENTRY = 60
"""What reading and summing one entry of one pair's Gram matrices costs, in operations of a matrix product (measured)."""
_COST_PER_ENTRY_OF_MANY = 300
"""The same where all pairs of many layers are summed: their tiles are widened to float64 and leave the cache."""
_COST_PER_VALUE = 100
"""What the exact diagonals of features' products cost for each value of X and Y (measured)."""
_ROWS_PER_TILE = 252
"""Of a Gram matrix: what is right of the diagonal is made once, and summed while it is in the cache."""
_WHOLE_ROWS, _WHOLE_FEATURES = 1000, 1024
"""Up to so many rows of so many features or more, the whole matrix in one product takes less time than tiles do."""
_ENTRIES_WIDENED = 2**15
"""Entries of a tile that are in float64 at once, a multiple of the next."""
_ENTRIES_MULTIPLIED = 2**13
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
    """The form that takes less time for all pairs of `num_x` layers of d_x and `num_y` of d_y features.

    Returns:
        "gram" or "features"; at d = 2048 they cross near n = 4,000 for one pair, near 40,000 for 23 x 23.

    Example:
        >>> cheaper_form(750, 2048, 2048), cheaper_form(11_873, 2048, 2048)
        ('gram', 'features')
    """
    return "gram" if n <= crossing(d_x, d_y, num_x=num_x, num_y=num_y) else "features"


def crossing(d_x: int, d_y: int, *, num_x: int = 1, num_y: int = 1) -> int:
    """The most examples for which Gram matrices are the cheaper form; arguments as in `cheaper_form`."""
    per_entry = _COST_PER_ENTRY if num_x == num_y == 1 else _COST_PER_ENTRY_OF_MANY
    features = num_x * d_x * (d_x + _COST_PER_VALUE) + num_y * d_y * (d_y + _COST_PER_VALUE)
    features += 2 * num_x * num_y * d_x * d_y
    gram = num_x * (d_x + per_entry) + num_y * (d_y + per_entry) + 2 * (num_x * num_y - 1)
    return features // gram


def off_diagonal_traces(
    Xs: Sequence[np.ndarray],
    Ys: Sequence[np.ndarray],
    *,
    form: Form,
    dtype: type[np.floating] = np.float64,
    room: Room | None = None,
) -> Traces:
    """tr(K~L~) of every X with every Y, of every X with itself and of every Y with itself.

    Args:
        Xs: Layers, each (n, d_x) float and centred; widths may differ.
        Ys: Layers of the same examples. The same list object as Xs costs half.
        form: See the module.
        dtype: Of the products; sums are float64. Of float32 products traces are right to about 1e-9 (`products`).
        room: For Gram matrices of one pair of layers.
    """
    wide_X = [X.astype(dtype, copy=False) for X in Xs]
    wide_Y = wide_X if Ys is Xs else [Y.astype(dtype, copy=False) for Y in Ys]
    if form == "features":
        return _by_features(wide_X, wide_Y)
    if len(Xs) == len(Ys) == 1:
        if Ys is Xs:
            own = _gram_totals(wide_X, ((0, 0),), room or Room())
            return Traces(cross=own[None], self_x=own, self_y=own)
        cross, self_x, self_y = _gram_totals([wide_X[0], wide_Y[0]], ((0, 1), (0, 0), (1, 1)), room or Room())
        return Traces(cross=cross[None, None], self_x=self_x[None], self_y=self_y[None])
    return _by_tiles(wide_X, wide_Y)


def gram_rows(sides: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """(pairs, n) float64: of each pair of sides, by row i, the sum of k_ij l_ij over j /= i.

    A side's Gram matrix is made once whatever the pairs, and half of it.

    Args:
        sides: Each (n, d) of one dtype, that of the products; widths may differ.
        pairs: Places in `sides`.
    """
    sums = np.zeros((len(pairs), len(sides[0])))
    for rows, columns, tiles in _gram_tiles(sides, Room()):
        for of_pair, (i, j) in zip(sums, pairs, strict=True):
            of_pair[rows] += np.einsum("ij,ij->i", tiles[i], tiles[j])
            if columns != rows:  # the other half, of which these entries are the mirror image
                of_pair[columns] += np.einsum("ij,ij->j", tiles[i], tiles[j])
    return sums


def trace_from_product(P: np.ndarray, q_x: np.ndarray, q_y: np.ndarray) -> float:
    """tr(K~L~) from P = X'Y (d_x, d_y) and the squared norms (n,) of rows."""
    return sum_of_squares(P) - float(q_x @ q_y)


def _gram_tiles(sides: Sequence[np.ndarray], room: Room) -> Iterator[tuple[slice, slice, list[np.ndarray]]]:
    """Rows, columns and each side's K~ there: squares on the diagonal, and after each what is right of it, but nothing below.

    Tiles are written over by the next.
    """
    n = len(sides[0])
    is_whole = n <= _WHOLE_ROWS and min(side.shape[1] for side in sides) >= _WHOLE_FEATURES
    num_rows = n if is_whole else -(-n // -(-n // _ROWS_PER_TILE))
    for start in range(0, n, num_rows):
        rows, right = slice(start, min(n, start + num_rows)), slice(min(n, start + num_rows), n)
        for columns in (rows, right) if right.start < n else (rows,):
            shape = rows.stop - rows.start, columns.stop - columns.start
            tiles = [
                np.matmul(side[rows], side[columns].T, out=room.array(f"gram {place}", shape, side.dtype))
                for place, side in enumerate(sides)
            ]
            if columns is rows:
                for tile in tiles:
                    np.fill_diagonal(tile, 0.0)
            yield rows, columns, tiles


def _gram_totals(sides: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]], room: Room) -> np.ndarray:
    """(pairs,) float64: of each pair of sides the sum of k_ij l_ij over i /= j, entries widened before they are multiplied."""
    totals = np.zeros(len(pairs))
    for rows, columns, tiles in _gram_tiles(sides, room):
        sums = _sums_of_products([tile.ravel() for tile in tiles], pairs, room)
        # What is right of the diagonal stands for its mirror image too.
        totals += sums if columns is rows else 2.0 * sums
    return totals


def _sums_of_products(sides: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]], room: Room) -> np.ndarray:
    """(pairs,) float64: of each pair of sides, each (m,), the sum of their entries' products.

    Few calls, each of as many entries as one thread of a BLAS multiplies (to share them takes longer): threads that compute
    other layers wait for each other between calls.
    """
    num, at_once = sides[0].size, _ENTRIES_WIDENED // _ENTRIES_MULTIPLIED
    wide = [
        room.array(f"wide {place}", (at_once, _ENTRIES_MULTIPLIED), np.float64).reshape(-1)
        for place in range(len(sides))
    ]
    rows, columns = ([part.reshape(shape) for part in wide] for shape in ((at_once, 1, -1), (at_once, -1, 1)))
    products = np.empty((len(pairs), -(-num // _ENTRIES_WIDENED), at_once, 1, 1))
    for chunk in range(products.shape[1]):
        start = chunk * _ENTRIES_WIDENED
        for part, side in zip(wide, sides, strict=True):
            entries = side[start : start + _ENTRIES_WIDENED]
            part[: entries.size] = entries
            part[entries.size :] = 0.0
        for of_pair, (i, j) in zip(products, pairs, strict=True):
            np.matmul(rows[i], columns[j], out=of_pair[chunk])
    return np.asarray(products.reshape(len(pairs), -1).sum(axis=1))


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
