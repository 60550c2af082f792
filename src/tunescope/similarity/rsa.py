"""Representational similarity analysis: whether the same examples are far apart on both sides.

Legend: n examples; d features; X, Y (n, d_x), (n, d_y).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from tunescope.similarity import checks

Dissimilarity = Literal["euclidean", "correlation"]
_CANCELS = 1e-6
"""A squared distance below this share of the squared norms is computed anew from the difference."""


def rsa(X: np.ndarray, Y: np.ndarray, *, dissimilarity: Dissimilarity = "euclidean") -> float:
    """Spearman correlation, over all pairs of examples, of their dissimilarity in X with that in Y.

    Kriegeskorte et al., 2008 (doi:10.3389/neuro.06.004.2008). Ranks of distances: any growing function of the distance gives
    the same number. `euclidean`, the default, is unchanged by rotation and isotropic scaling of either side and by a shift.
    `correlation` is the paper's 1 - Pearson's r over an example's features; it is changed by a rotation and by a shift, and where a
    few features are far greater than the rest, as in transformers, it sees these alone. Pairs share examples: the n (n - 1) / 2
    pairs are far from as many independent ones, and the p-value of this correlation means nothing. O(n^2) memory.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.
        dissimilarity: How far apart two examples of one side are.

    Returns:
        Similarity in [-1, 1], no unit; 1 when pairs are ordered alike; 0 on average for unrelated representations.

    Raises:
        ValueError: If X and Y differ in n, n < 3, a value is not finite, either is constant or all its examples are equally far
            apart; for `correlation` also if an example's features are all equal.

    Example:
        >>> X = np.array([[0.0], [1.0], [3.0]])
        >>> rsa(X, np.array([[0.0], [2.0], [3.0]]))
        0.5
    """
    if dissimilarity not in ("euclidean", "correlation"):
        raise ValueError(f"rsa: dissimilarity must be 'euclidean' or 'correlation', got {dissimilarity!r}.")
    X, Y = checks.paired("rsa", X, Y, min_examples=3)
    ranks_x, ranks_y = (_centred_ranks(name, side, dissimilarity) for name, side in (("X", X), ("Y", Y)))
    return float(ranks_x @ ranks_y / np.sqrt((ranks_x @ ranks_x) * (ranks_y @ ranks_y)))


def _centred_ranks(name: str, X: np.ndarray, dissimilarity: Dissimilarity) -> np.ndarray:
    """(n (n - 1) / 2,) ranks of the distances of all pairs, their mean removed; equal ones share a rank."""
    from scipy.stats import rankdata

    if dissimilarity == "correlation":
        X = _standardised_examples(name, X)
    squared = square_distances(checks.centred("rsa", name, X))
    pairs = squared[np.triu_indices(len(X), k=1)]
    if np.ptp(pairs) <= 1e-12 * pairs.max():
        raise ValueError(f"rsa: all examples of {name} are equally far apart: there is no order to compare.")
    ranks = rankdata(pairs)
    return np.asarray(ranks - ranks.mean())


def square_distances(X: np.ndarray) -> np.ndarray:
    """(n, n) squared Euclidean distances of centred X (n, d), each right to about 1e-9 of itself; equal examples are at 0.

    |x_i|^2 + |x_j|^2 - 2 <x_i, x_j>, one matrix product, but for the pairs so near that this cancels.
    """
    gram = X @ X.T
    own = np.diagonal(gram)
    sizes = own[:, None] + own[None, :]
    squared = sizes - 2.0 * gram
    near = squared < _CANCELS * sizes
    np.fill_diagonal(near, False)
    for i in np.flatnonzero(near.any(axis=1)):
        difference = X[near[i]] - X[i]
        squared[i, near[i]] = np.einsum("ij,ij->i", difference, difference)
    np.fill_diagonal(squared, 0.0)
    return np.asarray(squared)


def _standardised_examples(name: str, X: np.ndarray) -> np.ndarray:
    """Each example minus its own mean over features, of length 1: squared distances are then 2 (1 - r)."""
    centred = X - X.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    flat = lengths <= 1e-13 * np.sqrt(np.einsum("ij,ij->i", X, X))
    if flat.any():
        raise ValueError(f"rsa: all features of example {int(np.argmax(flat))} of {name} are equal: no correlation.")
    return np.asarray(centred / lengths[:, None])
