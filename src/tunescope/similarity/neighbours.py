"""Whether an example's nearest neighbours are the same ones on both sides.

Legend: n examples; d features; k neighbours; X, Y (n, d_x), (n, d_y).
"""

from __future__ import annotations

import numpy as np

from tunescope.similarity import checks

_TIED = 1e-12
"""Cosines closer than this are equal but for rounding."""
_BLOCK_ELEMENTS = 2**23
"""Cosines held at once, of each side: 64 MB."""


def mutual_knn(X: np.ndarray, Y: np.ndarray, *, k: int = 10) -> float:
    """Mean share of an example's k nearest neighbours that are the same in X and in Y.

    (1/n) sum_i |N_k(x_i) and N_k(y_i)| / k, neighbours by cosine, the example itself left out (Huh et al., 2024,
    arXiv:2405.07987, appendix A). Looks at the near alone: the layout of what is far may change at will. k / (n - 1) by chance. Unchanged
    by rotation and isotropic scaling of either side; not by a shift, since cosines are taken from the origin: for
    Euclidean-like neighbours remove the means first. Memory: blocks of 64 MB, not (n, n).

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.
        k: Neighbours, from 1 to n - 2: with all n - 1 others the share is 1 whatever the data.

    Returns:
        Similarity in [0, 1], no unit; 1 when all neighbours are the same.

    Raises:
        ValueError: If X and Y differ in n, k is not in 1..n - 2, a value is not finite, either is constant, or an example is
            all zeros.

    Example:
        >>> X = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
        >>> mutual_knn(X, X[:, ::-1], k=1)
        1.0
    """
    return float(mutual_knn_shares(X, Y, k=k, where="mutual_knn").mean())


def mutual_knn_shares(X: np.ndarray, Y: np.ndarray, *, k: int = 10, where: str = "mutual_knn_shares") -> np.ndarray:
    """(n,) the share of each example's k neighbours that are the same; arguments and errors as of `mutual_knn`.

    Where several are equally near at the k-th place, as copies of one text are, each holds its part of the places left, so that the order of
    the examples does not count: the share is then sum_j min(w_x(j), w_y(j)) / k over these weights.
    """
    X, Y = checks.paired(where, X, Y)
    n = len(X)
    if not 1 <= k <= n - 2:
        raise ValueError(
            f"{where}: k must be at least 1 and at most n - 2 = {n - 2} for {n} examples, got {k}. Take fewer neighbours or more "
            "examples."
        )
    units_x, units_y = (_unit_examples(where, name, side) for name, side in (("X", X), ("Y", Y)))
    shares = np.empty(n)
    step = max(1, _BLOCK_ELEMENTS // n)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        weights = np.minimum(_neighbour_weights(units_x, rows, k), _neighbour_weights(units_y, rows, k))
        shares[rows] = weights.sum(axis=1) / k
    return shares


def _unit_examples(where: str, name: str, X: np.ndarray) -> np.ndarray:
    checks.centred(where, name, X)  # for its error: where all are one example, all are equally near
    greatest = np.abs(X).max(axis=1, keepdims=True)
    if not greatest.all():
        raise ValueError(f"{where}: example {int(np.argmin(greatest))} of {name} is all zeros: it has no direction.")
    X = X / greatest
    return np.asarray(X / np.sqrt(np.einsum("ij,ij->i", X, X))[:, None])


def _neighbour_weights(units: np.ndarray, rows: slice, k: int) -> np.ndarray:
    """(rows, n) 1 for the k nearest; those tied at the k-th place share what places are left; each row sums to k."""
    cosines = units[rows] @ units.T
    cosines[np.arange(len(cosines)), np.arange(rows.start, rows.stop)] = -np.inf
    kth = np.partition(cosines, -k, axis=1)[:, -k, None]
    nearer = cosines > kth + _TIED
    tied = (cosines >= kth - _TIED) & ~nearer
    places = k - nearer.sum(axis=1, keepdims=True)
    return np.asarray(nearer + tied * (places / tied.sum(axis=1, keepdims=True)))
