"""Canonical correlations of two representations, and their two best-known means: SVCCA and PWCCA.

Legend: n examples; d features; X, Y (n, d_x), (n, d_y), columns centred, of ranks r_x, r_y; rho_1 >= ... >= rho_m, m = min(r_x, r_y),
the canonical correlations: with X = U_x S_x V_x' and Y alike, the singular values of U_x'U_y.

All directions count alike, however little variance they have, so CCA needs many more examples than features: for unrelated X and
Y the mean of rho^2 is max(r_x, r_y) / (n - 1), and of r_x + r_y - (n - 1) of them each is 1 by counting dimensions.
"""

from __future__ import annotations

import numpy as np

from tunescope.similarity import checks

_TIED = 1e-9
"""A correlation nearer to 1 is 1 but for rounding."""


def canonical_correlations(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Correlations of the pairs of directions that correlate most, each pair uncorrelated with those before it.

    Hotelling, 1936 (doi:10.1093/biomet/28.3-4.321). Unchanged by any invertible map and by a shift of either side.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64. Features that depend on others linearly
            count once: rank as in `numpy.linalg.matrix_rank`.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.

    Returns:
        (min(r_x, r_y),) in [0, 1], greatest first.

    Raises:
        ValueError: If X and Y differ in n, n < 2, a value is not finite, or either is constant.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 2))
        >>> canonical_correlations(X, X @ np.array([[1.0, 2.0], [0.0, 1.0]])).round(9)
        array([1., 1.])
    """
    X, Y = _centred("canonical_correlations", X, Y)
    return _correlations(_directions(X, 1.0), _directions(Y, 1.0))


def svcca(X: np.ndarray, Y: np.ndarray, *, share: float = 0.99) -> float:
    """Mean canonical correlation of the leading principal directions of both sides.

    Raghu et al., 2017 (arXiv:1706.05806): each side keeps the fewest singular directions that hold `share` of its variance, and
    the mean is over the min(k_x, k_y) correlations of what is kept. Unchanged by rotation and isotropic scaling of either
    side and by a shift. What is kept jumps with the data, so it is no smooth function of them.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.
        share: Of the variance, in (0, 1]; 1 keeps all directions, which is the mean CCA correlation.

    Returns:
        Similarity in [0, 1], no unit; 1 when Y is X rotated, scaled and shifted.

    Raises:
        ValueError: If X and Y differ in n, n < 2, a value is not finite, either is constant, or `share` is not in (0, 1].

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> round(svcca(X, 5.0 - 2.0 * X), 12)
        1.0
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"svcca: share of the variance must lie above 0 and at most at 1, got {share}.")
    X, Y = _centred("svcca", X, Y)
    return float(_correlations(_directions(X, share), _directions(Y, share)).mean())


def pwcca(X: np.ndarray, Y: np.ndarray) -> float:
    """Mean canonical correlation, each weighted by how much of X its direction tells.

    sum_i w_i rho_i / sum_i w_i with w_i = sum_j |<h_i, x_j>|, h_i (n,) the i-th canonical variable of X and x_j (n,) its j-th
    feature (Morcos et al., 2018, arXiv:1806.05759, section 2). Not symmetric: X, the base model, gives the weights. The paper's
    own code (google/svcca, pwcca.py) leaves the whitening out of h_i, adds the means back in and weighs by the narrower side;
    this is the paper's formula. Unchanged by isotropic scaling and a shift of either side, by a permutation of X's features
    and by any invertible map of Y; not by a rotation of X, whose features the weights name.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.

    Returns:
        Similarity in [0, 1], no unit; 1 when Y is an invertible map of X. Where fewer directions than r_x have a partner in
        Y, the others do not count.

    Raises:
        ValueError: If X and Y differ in n, n < 2, a value is not finite, either is constant, or r_x + r_y > n and not all
            correlations are 1: two or more are then 1 by counting, and which directions have them, so the weights, is arbitrary.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 2))
        >>> round(pwcca(X, X @ np.array([[1.0, 2.0], [0.0, 1.0]])), 12)
        1.0
    """
    X, Y = _centred("pwcca", X, Y)
    U_x, U_y = _directions(X, 1.0), _directions(Y, 1.0)
    A, rho, _ = np.linalg.svd(U_x.T @ U_y, full_matrices=False)
    num_directions = U_x.shape[1] + U_y.shape[1]
    if num_directions > len(X) and rho[-1] < 1.0 - _TIED:
        raise ValueError(
            f"pwcca: {len(X)} examples leave no weights to {U_x.shape[1]} directions of X and {U_y.shape[1]} of Y: "
            f"{num_directions - len(X) + 1} correlations are 1 whatever the data. Needs at least {num_directions} examples."
        )
    weights = np.abs((U_x @ A).T @ X).sum(axis=1)
    return float(weights @ np.minimum(rho, 1.0) / weights.sum())


def _centred(where: str, X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    X, Y = checks.paired(where, X, Y, min_examples=2)
    return checks.centred(where, "X", X), checks.centred(where, "Y", Y)


def _directions(X: np.ndarray, share: float) -> np.ndarray:
    """(n, k) orthonormal: X's leading left singular vectors, as many as hold `share` of its variance, at most its rank."""
    U, singular_values, _ = np.linalg.svd(X, full_matrices=False)
    rounding = singular_values[0] * max(X.shape) * np.finfo(np.float64).eps
    rank = int(np.count_nonzero(singular_values > rounding))
    if share == 1.0:
        return np.asarray(U[:, :rank])
    held = np.cumsum(singular_values**2)
    # A share that is reached but for rounding is reached.
    num_short = int(np.count_nonzero(held < share * (1.0 - 1e-12) * held[-1]))
    return np.asarray(U[:, : min(rank, num_short + 1)])


def _correlations(U_x: np.ndarray, U_y: np.ndarray) -> np.ndarray:
    rho = np.linalg.svd(U_x.T @ U_y, compute_uv=False)
    # Products of unit vectors: what exceeds 1 is rounding in the last digit.
    return np.asarray(np.minimum(rho, 1.0))
