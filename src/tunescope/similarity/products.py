"""X'Y of rows in float32 or float64, summed in float64: no copy of the rows, no (d, d) matrix besides the sum.

Legend: n rows; d features; P = X'Y.

What float32 costs. An entry of P is a float32 sum over a block of rows, off by e = 1e-8 to 1e-7 of the size of its terms, up or
down by chance. In ||P||_F^2 such errors cancel over d^2 entries, but not on the diagonal of X'X, or of X'Y where Y is a later
state of X: these few entries are the largest, and sums of terms of one sign. So the diagonal is summed in float64,
and ||P||_F^2 of float32 products is right to about 1e-9 instead of 1e-7 (tests/reference/test_cka.py). Where X and Y differ in
width the cross product has no such diagonal, and entries as large keep their 1e-7 / sqrt(number of them).

A symmetric product is made by panels, columns p of X with columns p and on: a BLAS's own symmetric product, as NumPy calls it,
makes half a matrix too, but then copies it into the other half, for which it can take as long as for the product.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_ROWS_PER_PRODUCT = 4096
"""So many rows are summed in the products' own dtype; beyond, in float64."""
COLUMNS_PER_PANEL = 96
"""Of a symmetric product, whole on the blocks of its diagonal; the work is (1 + 96 / d) halves."""
_COLUMNS_PER_SLAB = 512
"""Of any other product: what is to be added to the sum is still in the cache."""
_VALUES_WIDENED = 2**16
"""Numbers that are in float64 at once: they stay in the cache."""

_SQUARES_OF_FLOAT32 = (1e-12, 1e14)
"""|x|^2 of rows whose products, squared and summed, are ordinary float32 numbers."""


def product(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """X'Y (d_x, d_y) in float64 from products in X's dtype; half the work where Y is X."""
    P = np.zeros((X.shape[1], Y.shape[1]))
    for start in range(0, len(X), _ROWS_PER_PRODUCT):
        rows = slice(start, start + _ROWS_PER_PRODUCT)
        if Y is X:
            squares = sum((np.einsum("nd,nd->d", x, x) for x in widened(X[rows])), start=np.zeros(X.shape[1]))
            add_upper(P, X[rows], squares)
        else:
            add_product(P, X[rows], Y[rows])
    if Y is X:
        mirror(P)
    return P


def add_product(P: np.ndarray, X: np.ndarray, Y: np.ndarray) -> None:
    """Adds X'Y to P (d_x, d_y) float64; where it is square its diagonal in float64."""
    is_rounded = X.dtype != np.float64 and X.shape == Y.shape
    diagonal = P.diagonal() + exact_diagonal(X, Y) if is_rounded else None
    for start in range(0, X.shape[1], _COLUMNS_PER_SLAB):
        columns = slice(start, start + _COLUMNS_PER_SLAB)
        P[columns] += X[:, columns].T @ Y
    if diagonal is not None:
        np.fill_diagonal(P, diagonal)


def add_upper(P: np.ndarray, X: np.ndarray, squares: np.ndarray) -> None:
    """Adds X'X to P (d, d) float64, on and above its diagonal; what is below is left undefined until `mirror`.

    Args:
        P: Is changed.
        X: (n, d) in the dtype of products.
        squares: (d,) float64, the diagonal of X'X.
    """
    diagonal = P.diagonal() + squares
    for start in range(0, X.shape[1], COLUMNS_PER_PANEL):
        columns = slice(start, start + COLUMNS_PER_PANEL)
        P[columns, start:] += X[:, columns].T @ X[:, start:]
    np.fill_diagonal(P, diagonal)


def mirror(P: np.ndarray) -> None:
    """Copies what is above the diagonal of P (d, d) below it."""
    for start in range(0, len(P), COLUMNS_PER_PANEL):
        end = start + COLUMNS_PER_PANEL
        P[end:, start:end] = P[start:end, end:].T
        own = P[start:end, start:end]
        own[...] = np.triu(own) + np.triu(own, 1).T


def exact_diagonal(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(d,) float64 sums over rows of x_j y_j, of X and Y (n, d) of any float dtype, products and sums in float64."""
    diagonal = np.zeros(X.shape[1])
    for x, y in zip(widened(X), widened(Y), strict=True):
        diagonal += np.einsum("nd,nd->d", x, y)
    return diagonal


def widened(X: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of X (n, d) in float64, a few at a time."""
    num = max(1, _VALUES_WIDENED // X.shape[1])
    for start in range(0, len(X), num):
        yield X[start : start + num].astype(np.float64, copy=False)


def float32_holds(scatter: float, num_rows: int) -> bool:
    """Whether float32 has products of such rows, and products of those: neither near its largest nor its least number.

    Args:
        scatter: Sum over rows of |x|^2.
        num_rows: n.
    """
    low, high = _SQUARES_OF_FLOAT32
    return low < scatter / num_rows < high


def square_norms(X: np.ndarray) -> np.ndarray:
    """q (n,) float64 of X (n, d): |x_i|^2, a row's squares summed in X's dtype."""
    return row_products(X, X).astype(np.float64, copy=False)


def row_products(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(n,) x_i'y_i of X and Y (n, d) in their dtype; by the BLAS, which takes half the time that `einsum` does."""
    return np.asarray(np.matmul(X[:, None, :], Y[:, :, None])[:, 0, 0])


def sum_of_squares(P: np.ndarray) -> float:
    """||P||_F^2 of a float64 matrix."""
    return float(np.vdot(P, P))
