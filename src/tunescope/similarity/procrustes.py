"""Orthogonal Procrustes: how far apart two representations are once the one is rotated onto the other as well as can be.

Legend: n examples; d features; X, Y (n, d_x), (n, d_y), columns centred; ||.||_F Frobenius, ||.||_* nuclear norm (sum of
singular values). Of unequal widths the smaller is padded with features of zeros.

    min over orthogonal Q of ||XQ - Y||_F^2 = ||X||_F^2 + ||Y||_F^2 - 2 ||X'Y||_*        (Schoenemann, 1966, doi:10.1007/BF02289451)
"""

from __future__ import annotations

import numpy as np

from tunescope.similarity import checks

_NEAR = 1e-6
"""Where 1 - cos is less, the angle is taken from the aligned difference: arccos would keep half of the digits."""


def procrustes_distance(X: np.ndarray, Y: np.ndarray) -> float:
    """The angle between two representations after the best rotation: the shape distance of Williams et al.

    arccos(||X'Y||_* / (||X||_F ||Y||_F)), columns centred (Williams et al., 2021, arXiv:2110.14739, with all rotations and
    reflections allowed: `netrep`'s LinearMetric(alpha=1), angular). A metric: it obeys the triangle inequality, which CKA does
    not. Ding et al.'s (2021, arXiv:2108.01661) Procrustes distance of matrices of norm 1 is 2 - 2 cos of it. Directions of
    great variance rule it less than they rule CKA.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.

    Returns:
        Distance in [0, pi/2] radians; 0 when Y is X rotated, scaled and shifted.

    Raises:
        ValueError: If X and Y differ in n, n < 2, a value is not finite, or either is constant.

    Example:
        >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
        >>> Y = X[:, ::-1] * 5.0 + 2.0
        >>> round(procrustes_distance(X, Y), 12)
        0.0
    """
    X, Y = _centred("procrustes_distance", X, Y)
    X, Y = X / _norm(X), Y / _norm(Y)
    cosine = _nuclear_norm(X, Y)
    if 1.0 - cosine > _NEAR:
        return float(np.arccos(cosine))
    return float(2.0 * np.arcsin(_aligned_difference(X, Y) / 2.0))


def procrustes_residual(X: np.ndarray, Y: np.ndarray) -> float:
    """What is left of the change once the best rotation and shift are taken off: min over Q of ||XQ - Y||_F / ||X||_F.

    Columns centred; the size-and-shape distance of Williams et al. (2021, arXiv:2110.14739) in lengths of the centred base.
    Beside `aligned.relative_change` it says how much of a move is a mere rotation. Not unchanged by a scaling of one side.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.

    Returns:
        Distance in [0, infinity), in lengths of centred X; 0 when Y is X rotated and shifted.

    Raises:
        ValueError: If X and Y differ in n, n < 2, a value is not finite, or either is constant.

    Example:
        >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
        >>> round(procrustes_residual(X, 1.5 * X[:, ::-1]), 12)
        0.5
    """
    X, Y = _centred("procrustes_residual", X, Y)
    length = _norm(X)
    X, Y = X / length, Y / length
    size = _norm(Y)
    square = 1.0 + size**2 - 2.0 * _nuclear_norm(X, Y)
    if square > _NEAR * (1.0 + size**2):
        return float(np.sqrt(square))
    return _aligned_difference(X, Y)


def _centred(where: str, X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both centred, each turned within its own features into at most n of them, which no rotation-free number sees."""
    X, Y = checks.paired(where, X, Y, min_examples=2)
    X, Y = checks.centred(where, "X", X), checks.centred(where, "Y", Y)
    return _at_most_n_features(X), _at_most_n_features(Y)


def _at_most_n_features(X: np.ndarray) -> np.ndarray:
    """X rotated so that all but its first n features are zeros, and these left out: X' = QR, so XQ = R'."""
    n, d = X.shape
    if d <= n:
        return X
    R = np.asarray(np.linalg.qr(X.T, mode="r"))
    return np.ascontiguousarray(R.T)


def _norm(X: np.ndarray) -> float:
    return float(np.sqrt(np.vdot(X, X)))


def _nuclear_norm(X: np.ndarray, Y: np.ndarray) -> float:
    return float(np.linalg.svd(X.T @ Y, compute_uv=False).sum())


def _aligned_difference(X: np.ndarray, Y: np.ndarray) -> float:
    """||XQ - Y||_F at the best Q, from the difference itself: no digits are lost where it is small."""
    width = max(X.shape[1], Y.shape[1])
    X, Y = (np.pad(side, ((0, 0), (0, width - side.shape[1]))) for side in (X, Y))
    U, _, Vt = np.linalg.svd(X.T @ Y)
    return _norm(X @ (U @ Vt) - Y)
