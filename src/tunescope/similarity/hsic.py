"""The Hilbert-Schmidt independence criterion of two kernels over the same examples, biased and unbiased.

Legend: n examples; K, L (n, n) Gram matrices; K~ is K with a diagonal of zeros; H = I - 11'/n.

CKA is a ratio of three HSICs (`cka_ratio`). With a linear kernel K = XX', HSIC_1 is not changed by a shift of the features,
so columns may be centred first; then K1 = 0, K~1 = -q with q_i = |x_i|^2, and Song's formula shrinks to

    n (n - 3) HSIC_1 = tr(K~L~) - 2 q_x'q_y / (n - 2) + sum(q_x) sum(q_y) / ((n - 1)(n - 2))          (`from_centred`)
"""

from __future__ import annotations

import numpy as np

MIN_EXAMPLES_DEBIASED = 4
"""HSIC_1 divides by n - 3."""


def hsic_biased(K: np.ndarray, L: np.ndarray) -> float:
    """HSIC_0 = tr(KHLH) / (n - 1)^2 (Gretton et al., 2005, doi:10.1007/11564089_7).

    Its bias is O(1/n), positive, and grows with a kernel's rank: see `cka.linear_cka`.

    Args:
        K: (n, n) symmetric Gram matrix; any float dtype, computed in float64.
        L: (n, n) of the same examples in the same order.

    Returns:
        At least 0 for positive semidefinite K and L, in units of K times L.

    Raises:
        ValueError: If K or L is not square, symmetric and finite, they differ in n, or n < 2.

    Example:
        >>> hsic_biased(np.eye(2), np.eye(2))
        1.0
    """
    K, L = _grams("hsic_biased", K, L, min_examples=2)
    return float(np.vdot(_centre(K), _centre(L))) / (len(K) - 1) ** 2


def hsic_debiased(K: np.ndarray, L: np.ndarray) -> float:
    """HSIC_1, the unbiased estimator (Song et al., 2012, JMLR 13, equation 5); diagonals do not enter.

    HSIC_1 = [tr(K~L~) + 1'K~1 1'L~1 / ((n - 1)(n - 2)) - 2 1'K~L~1 / (n - 2)] / (n (n - 3)), computed as the inner product
    of the U-centred matrices (Szekely and Rizzo, 2014, doi:10.1214/14-AOS1255), which is the same number with less
    cancellation.

    Args:
        K: (n, n) symmetric Gram matrix; any float dtype, computed in float64.
        L: (n, n) of the same examples in the same order.

    Returns:
        Any sign; 0 on average for independent data.

    Raises:
        ValueError: If K or L is not square, symmetric and finite, they differ in n, or n < 4.

    Example:
        >>> x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
        >>> round(hsic_debiased(np.outer(x, x), np.outer(y, y)), 12)
        -0.083333333333
    """
    K, L = _grams("hsic_debiased", K, L, min_examples=MIN_EXAMPLES_DEBIASED)
    n = len(K)
    return float(np.vdot(_u_centre(K), _u_centre(L))) / (n * (n - 3))


def from_centred(
    traces: np.ndarray, q_products: np.ndarray, sum_q_x: np.ndarray, sum_q_y: np.ndarray, num_examples: int
) -> tuple[np.ndarray, np.ndarray]:
    """HSIC_1 of linear kernels of centred features, and how far rounding may reach.

    Args:
        traces: tr(K~L~), any shape: a pair of layers each.
        q_products: q_x'q_y, same shape.
        sum_q_x: Sum of |x_i|^2, broadcast to it.
        sum_q_y: Sum of |y_i|^2, broadcast to it.
        num_examples: n >= 4.

    Returns:
        HSIC_1, and the sum of its terms' absolute values: a result far below that is rounding.
    """
    n = num_examples
    rows, totals = 2.0 * q_products / (n - 2), sum_q_x * sum_q_y / ((n - 1) * (n - 2))
    scale = float(n * (n - 3))
    return (traces - rows + totals) / scale, (np.abs(traces) + np.abs(rows) + np.abs(totals)) / scale


def cka_ratio(cross: np.ndarray | float, self_x: np.ndarray | float, self_y: np.ndarray | float) -> np.ndarray:
    """HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)); NaN where a self-term is not positive; nothing is clamped or added."""
    self_x, self_y = np.asarray(self_x, dtype=np.float64), np.asarray(self_y, dtype=np.float64)
    positive = (self_x > 0.0) & (self_y > 0.0)
    denominator = np.sqrt(np.where(positive, self_x, np.nan)) * np.sqrt(np.where(positive, self_y, np.nan))
    return np.asarray(cross / denominator)


def without_rounding(self_term: np.ndarray | float, size: np.ndarray | float, dtype: type[np.floating]) -> np.ndarray:
    """A debiased self-term, 0 where it is no more than the rounding of terms of this size.

    U-centred Gram matrices can vanish (examples that are all equally far apart): what floats then leave is no number to
    divide by. 100 machine epsilons of the products' dtype.
    """
    least = 100.0 * float(np.finfo(dtype).eps) * np.asarray(size)
    return np.where(np.asarray(self_term) > least, self_term, 0.0)


def _grams(where: str, K: np.ndarray, L: np.ndarray, *, min_examples: int) -> tuple[np.ndarray, np.ndarray]:
    K, L = np.array(K, dtype=np.float64), np.array(L, dtype=np.float64)
    for name, gram in (("K", K), ("L", L)):
        if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
            raise ValueError(f"{where}: {name} must be a square Gram matrix, got shape {gram.shape}.")
        if not np.isfinite(gram).all():
            raise ValueError(f"{where}: {name} must be finite numbers.")
        if not np.allclose(gram, gram.T, rtol=1e-5, atol=1e-8 * float(np.abs(gram).max(initial=0.0))):
            raise ValueError(f"{where}: {name} must be symmetric.")
    if len(K) != len(L):
        raise ValueError(
            f"{where}: K and L must hold the same examples in the same order, got {len(K)} rows and {len(L)}."
        )
    if len(K) < min_examples:
        raise ValueError(f"{where}: needs at least {min_examples} examples, got {len(K)}.")
    return K, L


def _centre(K: np.ndarray) -> np.ndarray:
    """HKH."""
    row_means = K.mean(axis=0)
    return np.asarray(K - row_means - row_means[:, None] + row_means.mean())


def _u_centre(K: np.ndarray) -> np.ndarray:
    """K~ minus its row and column sums over n - 2, plus its total over (n - 1)(n - 2); diagonal 0."""
    n = len(K)
    # HKH first: terms f_i + f_j do not count in HSIC_1, and a common mean would cost digits in the sums.
    A = _centre(K)
    np.fill_diagonal(A, 0.0)
    row_sums = A.sum(axis=0)
    A += row_sums.sum() / ((n - 1) * (n - 2)) - row_sums / (n - 2) - row_sums[:, None] / (n - 2)
    np.fill_diagonal(A, 0.0)
    return A
