"""Intruder dimensions: leading singular vectors of the tuned weight that resemble none of the base weight's.

W base weight (m, n), W_tuned = W + dW, u and v left and right singular vectors, k leading vectors looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunescope.weights.spectrum import Array, Svd, frobenius, leading_svd, whole_svd

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""The sweep: one threshold alone can make any count."""


@dataclass(frozen=True, kw_only=True)
class Intruders:
    """How many of the k leading singular vectors of a tuned weight resemble none of the base's."""

    k: int
    thresholds: tuple[float, ...]
    left: tuple[int, ...]
    """At each threshold, of the k left vectors; 0 to k."""
    right: tuple[int, ...]
    """At each threshold, of the k right vectors."""
    left_cosines: tuple[float, ...]
    """Of each left vector, largest first: its largest |cosine| with a left vector of the base, in [0, 1]."""
    right_cosines: tuple[float, ...]


def num_intruders(
    W: NDArray[np.floating], W_tuned: NDArray[np.floating], *, k: int = 10, thresholds: Sequence[float] = THRESHOLDS
) -> Intruders:
    """Counts intruder dimensions (Shuttleworth et al., 2024, arXiv:2410.21228, algorithm 1), on both sides.

    The i-th leading left singular vector u_i of W_tuned is an intruder at threshold t if max_j |cos(u_i, u_j)| < t
    over all min(m, n) singular vectors u_j of W; right vectors likewise. The paper looks at k = 10. On the larger side
    of a matrix that is not square a vector can also leave the span of W's singular vectors, so that side counts more.
    An update that is large counts as intruding whatever wrote it: compare with the counts of `random_update`.

    Args:
        W: (m, n).
        W_tuned: (m, n).
        k: Leading vectors looked at, at most min(m, n).
        thresholds: Each above 0 and below 1.

    Raises:
        ValueError: If shapes differ, a value is not finite, or k or a threshold is out of range.
    """
    if W.shape != W_tuned.shape:
        raise ValueError(f"num_intruders: W and W_tuned must have one shape, got {W.shape} and {W_tuned.shape}")
    return count_intruders(whole_svd(W), leading_svd(W_tuned, k), thresholds=thresholds)


def count_intruders(base: Svd, tuned: Svd, *, thresholds: Sequence[float] = THRESHOLDS) -> Intruders:
    """`num_intruders` from all singular triplets of the base and the leading ones of the tuned weight.

    Raises:
        ValueError: If a threshold is not above 0 and below 1, or there is none.
    """
    if not thresholds or not all(0.0 < threshold < 1.0 for threshold in thresholds):
        raise ValueError(f"count_intruders: thresholds must lie between 0 and 1, got {tuple(thresholds)}")
    left, right = _largest_cosines(tuned.U, base.U), _largest_cosines(tuned.V, base.V)
    return Intruders(
        k=len(tuned.s),
        thresholds=tuple(thresholds),
        left=tuple(int(np.sum(left < threshold)) for threshold in thresholds),
        right=tuple(int(np.sum(right < threshold)) for threshold in thresholds),
        left_cosines=tuple(float(cosine) for cosine in left),
        right_cosines=tuple(float(cosine) for cosine in right),
    )


def random_update(dW_norm: float, shape: tuple[int, int], *, seed: int) -> Array:
    """The control for length: a Gaussian matrix with ||.||_F = dW_norm, every direction as likely.

    Raises:
        ValueError: If the norm is negative or not finite.
    """
    if not (np.isfinite(dW_norm) and dW_norm >= 0.0):
        raise ValueError(f"random_update: the norm must be finite and 0 or more, got {dW_norm}")
    drawn: Array = np.random.default_rng(seed).normal(size=shape)
    drawn *= dW_norm / frobenius(drawn)
    return drawn


def same_spectrum_update(s: NDArray[np.floating], shape: tuple[int, int], *, seed: int) -> Array:
    """The control for length and rank: U diag(s) V' with U and V drawn uniformly among orthonormal columns.

    A low-rank update concentrates its length, and a concentrated one intrudes sooner than `random_update` of the same
    norm; this tells what its spectrum alone gives, in directions that nothing chose.

    Args:
        s: Singular values of the update, at most min(m, n) of them.
        shape: (m, n).
        seed: Draws U, then V.

    Raises:
        ValueError: If there are more singular values than the shape has, or one is negative or not finite.
    """
    values = np.asarray(s, dtype=np.float64)
    if values.ndim != 1 or len(values) > min(shape) or not np.isfinite(values).all() or (values < 0.0).any():
        raise ValueError(f"same_spectrum_update: s must be up to {min(shape)} values, finite and 0 or more")
    rng = np.random.default_rng(seed)
    U, V = (_orthonormal(rng, rows, len(values)) for rows in shape)
    product: Array = (U * values) @ V.T
    return product


def _orthonormal(rng: np.random.Generator, rows: int, columns: int) -> Array:
    Q, R = np.linalg.qr(rng.normal(size=(rows, columns)))
    turned: Array = Q * np.where(np.diag(R) < 0.0, -1.0, 1.0)  # signs settled: uniform over the Stiefel manifold
    return turned


def _largest_cosines(tuned: Array, base: Array) -> Array:
    """Of each column of `tuned` its largest |cosine| with a column of `base`; both have columns of length 1."""
    cosines: Array = np.abs(tuned.T @ base).max(axis=1)
    return np.minimum(cosines, 1.0)  # the product of two unit vectors may pass 1 by a rounding
