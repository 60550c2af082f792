"""How far examples moved in the base model's own frame: feature by feature, with no rotation forgiven.

Legend: n examples; d features, the same ones on both sides; X the base model's (n, d), Y the tuned model's; x_i, y_i one example.

A rotation of the tuned model's features counts here as a change, since the layers above read features by name; CKA and
Procrustes forgive it. Each measure has a `_leave_one_out`: the same with example i left out, for all i at the cost of one,
from which a jackknife's interval follows.
"""

from __future__ import annotations

import numpy as np

from tunescope.similarity import checks

_ROUNDING = 1e-13
"""A vector shorter than this share of what it was subtracted from is rounding."""


def cosine(X: np.ndarray, Y: np.ndarray) -> float:
    """Mean over examples of the cosine between an example's two states.

    (1/n) sum_i <x_i, y_i> / (|x_i| |y_i|). Where examples share a large mean, as transformers' states do (Ethayarajh, 2019,
    arXiv:1909.00512), it is near 1 even between states of different examples: see `centred_cosine`. Unchanged by a scaling
    of either side, and by a rotation of both.

    Args:
        X: (n, d) n examples, d features; any float dtype, computed in float64.
        Y: (n, d) the same examples and features.

    Returns:
        Similarity in [-1, 1], no unit; 1 when every y_i is x_i times a positive number.

    Raises:
        ValueError: If X and Y differ in shape, a value is not finite, or an example is all zeros.

    Example:
        >>> cosine(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 0.0], [2.0, 0.0]]))
        0.5
    """
    return float(cosines(X, Y, where="cosine").mean())


def cosines(X: np.ndarray, Y: np.ndarray, *, where: str = "cosines") -> np.ndarray:
    """(n,) the cosine between each example's two states, in [-1, 1]; arguments and errors as of `cosine`."""
    X, Y = _same_features(where, X, Y)
    return _row_cosines(where, X, Y, np.zeros(X.shape[1]), np.zeros(X.shape[1]))


def cosine_leave_one_out(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(n,) `cosine` without example i; ValueError as there, or if n < 2."""
    each = cosines(X, Y, where="cosine_leave_one_out")
    checks.check_num_examples("cosine_leave_one_out", len(each), 2)
    return np.asarray((each.sum() - each) / (len(each) - 1))


def centred_cosine(X: np.ndarray, Y: np.ndarray) -> float:
    """Mean cosine between an example's two states, each side's mean over examples removed first.

    (1/n) sum_i cos(x_i - mean(X), y_i - mean(Y)): the common part that makes `cosine` near 1 for anything is gone, and with
    it a shift common to all examples, which `mean_shift` has. 0 on average for unrelated states. Unchanged by a scaling or a
    shift of either side, and by a rotation of both.

    Args:
        X: (n, d) n examples, d features; any float dtype, computed in float64.
        Y: (n, d) the same examples and features.

    Returns:
        Similarity in [-1, 1], no unit; 1 when Y is X scaled and shifted.

    Raises:
        ValueError: If X and Y differ in shape, n < 2, a value is not finite, either is constant, or an example is the mean.

    Example:
        >>> X = np.array([[1.0, 0.0], [2.0, 1.0], [4.0, 1.0]])
        >>> round(centred_cosine(X, 2.0 * X + 100.0), 12)
        1.0
    """
    return float(centred_cosines(X, Y, where="centred_cosine").mean())


def centred_cosines(X: np.ndarray, Y: np.ndarray, *, where: str = "centred_cosines") -> np.ndarray:
    """(n,) the cosine between each example's two states, means removed; arguments and errors as of `centred_cosine`."""
    X, Y = _same_features(where, X, Y, min_examples=2)
    mean_x, mean_y = X.mean(axis=0), Y.mean(axis=0)
    return _row_cosines(where, checks.centred(where, "X", X), checks.centred(where, "Y", Y), mean_x, mean_y)


def centred_cosine_leave_one_out(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(n,) `centred_cosine` without example j, whose leaving moves the means of all others; exact, O(n^2 d) time, O(n^2) memory.

    With x_i the centred states, those without j are x_i + x_j / (n - 1), so that all products come from the Gram matrices.

    Raises:
        ValueError: As `centred_cosine`, or if n < 3, or an example is the mean of the others once one is left out.
    """
    where = "centred_cosine_leave_one_out"
    X, Y = _same_features(where, X, Y, min_examples=3)
    n = len(X)
    X, Y = checks.centred(where, "X", X), checks.centred(where, "Y", Y)

    def without_each(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        """(n, n) products of examples i (rows), example j (columns) left out."""
        gram = A @ B.T
        own = np.diagonal(gram)
        return np.asarray(own[:, None] + (gram + gram.T) / (n - 1) + own[None, :] / (n - 1) ** 2)

    squares_x, squares_y = without_each(X, X), without_each(Y, Y)
    for name, squares in (("X", squares_x), ("Y", squares_y)):
        np.fill_diagonal(squares, 1.0)
        lengths = _square_norms(X if name == "X" else Y)
        at_mean = squares <= 1e-14 * (lengths[:, None] + lengths[None, :])
        if at_mean.any():
            i, j = (int(index[0]) for index in np.nonzero(at_mean))
            raise ValueError(
                f"{where}: example {i} of {name} is the mean of the others once example {j} is left out: it has no direction."
            )
    ratios = without_each(X, Y) / (np.sqrt(squares_x) * np.sqrt(squares_y))
    np.fill_diagonal(ratios, 0.0)
    return np.asarray(ratios.sum(axis=0) / (n - 1))


def relative_change(X: np.ndarray, Y: np.ndarray) -> float:
    """Length of the move over the length of what moved: ||Y - X||_F / ||X||_F.

    The relative L2 change of all examples together; long states weigh more. Where examples share a large mean, ||X||_F is
    mostly that mean and the number is small whatever happened to the rest. Unchanged by a scaling or a rotation of both
    sides at once.

    Args:
        X: (n, d) n examples, d features; any float dtype, computed in float64.
        Y: (n, d) the same examples and features.

    Returns:
        Distance in [0, infinity), in lengths of X; 0 when Y is X, about 2^(1/2) for unrelated states of one size and no mean.

    Raises:
        ValueError: If X and Y differ in shape, a value is not finite, or X is all zeros.

    Example:
        >>> relative_change(np.array([[3.0, 4.0]]), np.array([[3.0, 4.5]]))
        0.1
    """
    X, Y = _same_features("relative_change", X, Y)
    return float(np.sqrt(_sum_of_squares(Y - X) / _positive("relative_change", _sum_of_squares(X))))


def relative_changes(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(n,) |y_i - x_i| / |x_i| of each example; ValueError as of `relative_change`, or if an example of X is all zeros."""
    X, Y = _same_features("relative_changes", X, Y)
    lengths = np.sqrt(_square_norms(X))
    _check_lengths("relative_changes", "X", lengths, np.zeros(X.shape[1]))
    return np.asarray(np.sqrt(_square_norms(Y - X)) / lengths)


def relative_change_leave_one_out(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(n,) `relative_change` without example i; ValueError as there, or if n < 2 or only one example of X is not all zeros."""
    where = "relative_change_leave_one_out"
    X, Y = _same_features(where, X, Y, min_examples=2)
    return _ratio_leave_one_out(where, _square_norms(Y - X), _square_norms(X))


def norm_ratio(X: np.ndarray, Y: np.ndarray) -> float:
    """How much longer the states became: ||Y||_F / ||X||_F.

    Unchanged by a rotation of either side, and by a scaling of both. CKA and cosines do not see it.

    Args:
        X: (n, d) n examples, d features; any float dtype, computed in float64.
        Y: (n, d) the same examples and features.

    Returns:
        Ratio in [0, infinity), no unit; 1 when the lengths are as they were.

    Raises:
        ValueError: If X and Y differ in shape, a value is not finite, or X is all zeros.

    Example:
        >>> norm_ratio(np.array([[3.0, 4.0]]), np.array([[0.0, 10.0]]))
        2.0
    """
    X, Y = _same_features("norm_ratio", X, Y)
    return float(np.sqrt(_sum_of_squares(Y) / _positive("norm_ratio", _sum_of_squares(X))))


def norm_ratios(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(n,) |y_i| / |x_i| of each example; ValueError as of `norm_ratio`, or if an example of X is all zeros."""
    X, Y = _same_features("norm_ratios", X, Y)
    lengths = np.sqrt(_square_norms(X))
    _check_lengths("norm_ratios", "X", lengths, np.zeros(X.shape[1]))
    return np.asarray(np.sqrt(_square_norms(Y)) / lengths)


def norm_ratio_leave_one_out(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(n,) `norm_ratio` without example i; ValueError as there, or if n < 2 or only one example of X is not all zeros."""
    where = "norm_ratio_leave_one_out"
    X, Y = _same_features(where, X, Y, min_examples=2)
    return _ratio_leave_one_out(where, _square_norms(Y), _square_norms(X))


def mean_shift(X: np.ndarray, Y: np.ndarray) -> float:
    """How far the mean state moved, in standard deviations of the base model's states.

    |mean(Y) - mean(X)| / sd(X) with sd(X)^2 = sum_i |x_i - mean(X)|^2 / (n - 1), the summed variance of all features. The part
    of a move that is common to all examples; CKA, Procrustes and `centred_cosine` do not see it. Unchanged by a rotation, a
    scaling or a shift of both sides at once.

    Args:
        X: (n, d) n examples, d features; any float dtype, computed in float64.
        Y: (n, d) the same examples and features.

    Returns:
        Distance in [0, infinity), in sd of X; 0 when the means are equal.

    Raises:
        ValueError: If X and Y differ in shape, n < 2, a value is not finite, or X is constant.

    Example:
        >>> X = np.array([[0.0, 0.0], [2.0, 0.0]])
        >>> round(mean_shift(X, X + 1.0), 12)
        1.0
    """
    X, Y = _same_features("mean_shift", X, Y, min_examples=2)
    moved = (Y - X).mean(axis=0)
    spread = _sum_of_squares(checks.centred("mean_shift", "X", X)) / (len(X) - 1)
    return float(np.sqrt(moved @ moved / spread))


def mean_shift_leave_one_out(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(n,) `mean_shift` without example i; ValueError as there, or if n < 3 or X is constant once one is left out."""
    where = "mean_shift_leave_one_out"
    X, Y = _same_features(where, X, Y, min_examples=3)
    n = len(X)
    moves = Y - X
    moved = moves.mean(axis=0)
    without = moved - (moves - moved) / (n - 1)
    own = _square_norms(checks.centred(where, "X", X))
    # Leaving x_i out takes |x_i|^2 n / (n - 1) from the sum of squares about the mean.
    scatter = own.sum() - own * n / (n - 1)
    if (scatter <= 1e-13 * own.sum()).any():
        i = int(np.argmin(scatter))
        raise ValueError(f"{where}: X is constant once example {i} is left out: there is no sd to measure by.")
    return np.asarray(np.sqrt(_square_norms(without) / (scatter / (n - 2))))


def _same_features(where: str, X: np.ndarray, Y: np.ndarray, *, min_examples: int = 1) -> tuple[np.ndarray, np.ndarray]:
    X, Y = checks.paired(where, X, Y, min_examples=min_examples)
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"{where}: X and Y must have the same features, got {X.shape[1]} and {Y.shape[1]}. Measures that compare models "
            "of different width: CKA, Procrustes, CCA, RSA, nearest neighbours."
        )
    return X, Y


def _row_cosines(where: str, X: np.ndarray, Y: np.ndarray, mean_x: np.ndarray, mean_y: np.ndarray) -> np.ndarray:
    """(n,) cosines of rows from which the means were subtracted."""
    units = []
    for name, rows, mean in (("X", X, mean_x), ("Y", Y, mean_y)):
        # Divided by its greatest value first, a row's sum of squares can neither overflow nor vanish.
        greatest = np.abs(rows).max(axis=1)
        _check_lengths(where, name, greatest, mean)
        scaled = rows / greatest[:, None]
        units.append(scaled / np.sqrt(_square_norms(scaled))[:, None])
    return np.asarray(np.einsum("ij,ij->i", units[0], units[1]))


def _check_lengths(where: str, name: str, lengths: np.ndarray, mean: np.ndarray) -> None:
    """Raises ValueError if an example has no length, or none but the rounding of the mean it was subtracted from."""
    without = lengths <= _ROUNDING * float(np.abs(mean).max())
    if without.any():
        what = "the mean of all examples" if mean.any() else "all zeros"
        raise ValueError(f"{where}: example {int(np.argmax(without))} of {name} is {what}: it has no direction.")


def _ratio_leave_one_out(where: str, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    rest = below.sum() - below
    if (rest <= 1e-14 * below.sum()).any():
        i = int(np.argmin(rest))
        raise ValueError(f"{where}: X is all zeros once example {i} is left out: there is no length to measure by.")
    # A difference of sums may round to just below 0 where all but one did not move.
    return np.asarray(np.sqrt(np.maximum(above.sum() - above, 0.0) / rest))


def _positive(where: str, sum_of_squares: float) -> float:
    if sum_of_squares == 0.0:
        raise ValueError(f"{where}: X is all zeros: there is no length to measure by.")
    return sum_of_squares


def _square_norms(X: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("ij,ij->i", X, X))


def _sum_of_squares(X: np.ndarray) -> float:
    return float(np.vdot(X, X))
