"""Singular values of an update and what they say: how many directions it has, and how they lie to the base's.

W base weight (m, n), dW update (m, n), s singular values in descending order, k leading directions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DENSE_BELOW = 512
"""Smaller side up to which a whole decomposition is quicker than an iterative one."""


class Svd(NamedTuple):
    """Leading singular triplets: M v_i = s_i u_i."""

    U: Array
    """(m, k) left vectors as columns."""
    s: Array
    """(k,) singular values, descending."""
    V: Array
    """(n, k) right vectors as columns."""


class Sides(NamedTuple):
    """One number for the left singular vectors (output side of a Linear), one for the right (input side)."""

    left: float
    right: float


def dense_spectrum(dW: NDArray[np.floating]) -> Array:
    """All singular values of a matrix, (min(m, n),) descending, float64; errors of s_1 times 1e-15 or so.

    Raises:
        ValueError: If it is no matrix, empty, or a value is not finite.
    """
    return np.asarray(np.linalg.svd(_matrix("dense_spectrum", dW), compute_uv=False), dtype=np.float64)


def low_rank_spectrum(A: NDArray[np.floating], B: NDArray[np.floating], scale: float = 1.0) -> Array:
    """Singular values of scale * B A from the factors alone.

    With B = Q_B R_B and A' = Q_A R_A, they are those of the r x r matrix scale * R_B R_A'; B A is never formed.

    Args:
        A: (r, n).
        B: (m, r).
        scale: alpha / r for LoRA, alpha / sqrt(r) for rsLoRA.

    Returns:
        (min(r, m, n),) descending, float64; the other singular values of B A are 0.

    Raises:
        ValueError: If the factors do not fit, are empty, or a value is not finite.
    """
    return low_rank_svd(A, B, scale).s


def low_rank_svd(A: NDArray[np.floating], B: NDArray[np.floating], scale: float = 1.0) -> Svd:
    """Singular triplets of scale * B A by the same algebra as `low_rank_spectrum`, O((m + n) r^2).

    Raises:
        ValueError: As `low_rank_spectrum`.
    """
    A64, B64 = _matrix("low_rank_svd", A), _matrix("low_rank_svd", B)
    if A64.shape[0] != B64.shape[1]:
        raise ValueError(f"low_rank_svd: A must be (r, n) and B (m, r), got {A64.shape} and {B64.shape}")
    if not np.isfinite(scale):
        raise ValueError(f"low_rank_svd: scale must be finite, got {scale}")
    Q_B, R_B = np.linalg.qr(B64)
    Q_A, R_A = np.linalg.qr(A64.T)
    U, s, Vt = np.linalg.svd(scale * (R_B @ R_A.T), full_matrices=False)
    return Svd(Q_B @ U, s, Q_A @ Vt.T)


def whole_svd(M: NDArray[np.floating]) -> Svd:
    """All min(m, n) singular triplets of a matrix, float64.

    Raises:
        ValueError: If it is no matrix, empty, or a value is not finite.
    """
    U, s, Vt = np.linalg.svd(_matrix("whole_svd", M), full_matrices=False)
    return Svd(U, s, Vt.T)


def leading_svd(M: NDArray[np.floating], k: int) -> Svd:
    """The k leading singular triplets: all of them and a cut for a small matrix, by Lanczos for a large one.

    Where two singular values are equal, their vectors are any basis of the plane they span.

    Raises:
        ValueError: If M is no matrix, a value is not finite, or k is not in 1..min(m, n).
    """
    M64 = _matrix("leading_svd", M)
    smaller = min(M64.shape)
    if not 1 <= k <= smaller:
        raise ValueError(f"leading_svd: k must lie in 1..{smaller} for a matrix {M64.shape}, got {k}")
    if smaller <= _DENSE_BELOW or 8 * k > smaller:
        U, s, V = whole_svd(M64)
        return Svd(U[:, :k], s[:k], V[:, :k])
    from scipy.sparse.linalg import svds

    start = np.random.default_rng(0).normal(size=smaller)  # ARPACK's own start is drawn anew each time
    U, s, Vt = svds(M64, k=k, v0=start)
    order = np.argsort(s)[::-1]
    return Svd(U[:, order], s[order], Vt[order].T)


def effective_rank(s: NDArray[np.floating]) -> float:
    """exp of the entropy of the singular values as shares, p_i = s_i / sum s (Roy & Vetterli, 2007, EUSIPCO).

    Unchanged by scale. 1 for one direction, r for r equal ones; small values weigh in, so a matrix of full rank with
    noise has a high effective rank where its stable rank is low.

    Returns:
        In [1, number of values].

    Raises:
        ValueError: If a value is negative or not finite, or all are 0 (no direction, no rank).
    """
    share = _spectrum("effective_rank", s)
    share = share / share.sum()
    share = share[share > 0.0]
    return float(np.exp(-np.sum(share * np.log(share))))


def stable_rank(s: NDArray[np.floating]) -> float:
    """||M||_F^2 / ||M||_2^2 = sum s_i^2 / s_1^2 (Rudelson & Vershynin, 2007): how many directions carry the length.

    Returns:
        In [1, number of values].

    Raises:
        ValueError: As `effective_rank`.
    """
    values = _spectrum("stable_rank", s)
    return float(np.sum((values / values.max()) ** 2))


def relative_norm(dW: NDArray[np.floating], W: NDArray[np.floating]) -> float:
    """||dW||_F / ||W||_F, sums of squares in float64; any shape.

    Returns:
        0 or more, no unit.

    Raises:
        ValueError: If the shapes differ, a value is not finite, or W is all zeros.
    """
    if dW.shape != W.shape:
        raise ValueError(f"relative_norm: dW and W must have one shape, got {dW.shape} and {W.shape}")
    change, base = frobenius(dW), frobenius(W)
    if not np.isfinite(change) or not np.isfinite(base):
        raise ValueError("relative_norm: a value is not finite")
    if base == 0.0:
        raise ValueError("relative_norm: W is all zeros")
    return change / base


def frobenius(M: NDArray[np.floating]) -> float:
    """||M||_F, its squares summed in float64."""
    flat = np.asarray(M, dtype=np.float64).ravel()
    return float(np.sqrt(np.dot(flat, flat)))


def numerical_rank(s: NDArray[np.floating], shape: tuple[int, ...]) -> int:
    """How many singular values exceed s_1 * max(m, n) * 2^-52, the rule of numpy's `matrix_rank`."""
    return int(np.sum(s > s.max() * max(shape) * np.finfo(np.float64).eps)) if s.size else 0


def principal_subspace_cosine(X: NDArray[np.floating], W: NDArray[np.floating], *, k: int) -> Sides:
    """How much of W's k leading singular directions X's k leading ones share, on the left and on the right.

    sqrt(||U_X' U_W||_F^2 / k) with orthonormal bases U of k columns: the root mean square cosine of the k principal
    angles (Bjorck & Golub, 1973), whose square is the subspace similarity of Hu et al. (2021, arXiv:2106.09685,
    section 7.2). Give W + dW for X to see whether the weight's own directions turned, dW to see whether the update
    lies along them. Unrelated subspaces score sqrt(k / m) on the left, sqrt(k / n) on the right in mean square.

    Args:
        X: (m, n).
        W: (m, n).
        k: 1 or more, at most min(m, n); where a k-th and a (k+1)-th singular value are equal, the subspace is not
            settled, and with it the number.

    Returns:
        Both in [0, 1]; 1 where the subspaces are the same.

    Raises:
        ValueError: If shapes differ, a value is not finite, k is out of range, or X or W has rank less than k.
    """
    if X.shape != W.shape:
        raise ValueError(f"principal_subspace_cosine: X and W must have one shape, got {X.shape} and {W.shape}")
    of_X, of_W = leading_svd(X, k), leading_svd(W, k)
    for name, found in (("X", of_X), ("W", of_W)):
        rank = numerical_rank(found.s, X.shape)
        if rank < k:
            raise ValueError(f"principal_subspace_cosine: {name} has rank {rank}, less than k = {k}")
    return subspace_cosines(of_X, of_W, k)


def subspace_cosines(X: Svd, W: Svd, k: int) -> Sides:
    """`principal_subspace_cosine` from decompositions that hold k triplets or more."""
    left = frobenius(X.U[:, :k].T @ W.U[:, :k]) / np.sqrt(k)
    right = frobenius(X.V[:, :k].T @ W.V[:, :k]) / np.sqrt(k)
    return Sides(float(left), float(right))


def _matrix(where: str, M: NDArray[np.floating]) -> Array:
    M64 = np.asarray(M, dtype=np.float64)
    if M64.ndim != 2 or M64.size == 0:
        raise ValueError(f"{where}: expected a matrix with values, got shape {M64.shape}")
    if not np.isfinite(M64).all():
        raise ValueError(f"{where}: a value is not finite")
    return M64


def _spectrum(where: str, s: NDArray[np.floating]) -> Array:
    values = np.asarray(s, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or (values < 0.0).any():
        raise ValueError(f"{where}: expected singular values, finite and 0 or more, got shape {values.shape}")
    if not (values > 0.0).any():
        raise ValueError(f"{where}: all singular values are 0, so there is no direction to count")
    return values
