"""What every measure asks of its matrices: rows are examples, the same ones on both sides, and every value is a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunescope.similarity.products import float32_holds

_ROUNDING = 1e-13
"""A spread below this share of the mean is the rounding of a constant."""
_FEW_DIGITS = 1e-5
"""A spread below this share of the mean is looked at in float64."""


def matrix(where: str, name: str, X: np.ndarray, *, dtype: type[np.floating] = np.float64) -> np.ndarray:
    """X as (n, d) float64, a copy; as float32 where `dtype` is float32 and that rounds no value of X's dtype.

    Args:
        where: The function that asks, for the message.
        name: What it calls the matrix.
        X: (n, d) real numbers of any dtype.
        dtype: float32 or float64, of the products to come.

    Raises:
        ValueError: If X is not (n, d) with n, d >= 1, a value is not finite, or `dtype` is another.
    """
    copy = np.array(shaped(where, name, X, dtype=dtype))
    check_finite(where, name, copy)
    return copy


def shaped(where: str, name: str, X: np.ndarray, *, dtype: type[np.floating] = np.float64) -> np.ndarray:
    """As `matrix`, but a copy only where X is of another dtype, and values are not looked at."""
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"{where}: dtype must be float32 or float64, got {np.dtype(dtype).name}.")
    X = np.asarray(X)
    is_narrow = dtype == np.float32 and np.result_type(X.dtype, dtype) == np.float32
    X = X.astype(np.float32 if is_narrow else np.float64, copy=False)
    if X.ndim != 2:
        raise ValueError(f"{where}: {name} must be a matrix, examples by features, got shape {X.shape}.")
    if X.size == 0:
        raise ValueError(f"{where}: {name} is empty, shape {X.shape}.")
    return X


def check_finite(where: str, name: str, X: np.ndarray, *, first_row: int = 0) -> None:
    """Raises ValueError if a value of X (n, d) is not finite; rows are counted from `first_row` in the message."""
    # Sums are cheaper than a mask, and one is not finite if a value is not; a sum may also overflow, so the mask decides.
    with np.errstate(all="ignore"):
        if np.isfinite(column_sums(X) if X.dtype in (np.float32, np.float64) else X.sum()).all():
            return
    rows, columns = np.nonzero(~np.isfinite(X))
    if rows.size:
        raise ValueError(
            f"{where}: {name} must be finite numbers, got {X[rows[0], columns[0]]} in row {first_row + int(rows[0])}, "
            f"feature {int(columns[0])}."
        )


def paired(
    where: str, X: np.ndarray, Y: np.ndarray, *, min_examples: int = 1, dtype: type[np.floating] = np.float64
) -> tuple[np.ndarray, np.ndarray]:
    """X and Y as (n, d_x) and (n, d_y), copies; float64, or as `matrix` says.

    Args:
        where: The function that asks, for the message.
        X: (n, d_x) representations of n examples.
        Y: (n, d_y) representations of the same examples in the same order.
        min_examples: Fewest n that the measure is defined for.
        dtype: As in `matrix`.

    Raises:
        ValueError: If X or Y is not a matrix of finite numbers, they differ in n, or n < `min_examples`.
    """
    X, Y = matrix(where, "X", X, dtype=dtype), matrix(where, "Y", Y, dtype=dtype)
    check_same_examples(where, len(X), len(Y), min_examples)
    return X, Y


def check_same_examples(where: str, num_x: int, num_y: int, min_examples: int) -> None:
    """Raises ValueError if X and Y differ in rows, or have fewer than a measure is defined for."""
    if num_x != num_y:
        raise ValueError(
            f"{where}: X and Y must hold the same examples in the same order, got {num_x} rows and {num_y}."
        )
    check_num_examples(where, num_x, min_examples)


def check_num_examples(where: str, num_examples: int, min_examples: int, *, unit: str = "examples") -> None:
    """Raises ValueError if there are fewer examples than a measure is defined for."""
    if num_examples < min_examples:
        raise ValueError(f"{where}: needs at least {min_examples} {unit}, got {num_examples}.")


def check_varies(
    where: str, name: str, scatter: float, mean: np.ndarray, num_examples: int, *, unit: str = "examples"
) -> None:
    """Raises ValueError if every example has the same features.

    Args:
        where: The function that asks.
        name: What it calls the matrix.
        scatter: Sum over examples of |x - mean|^2.
        mean: (d,) of the examples.
        num_examples: n.
        unit: What has the features, for the message.
    """
    if scatter <= num_examples * _ROUNDING**2 * float(mean @ mean):
        raise ValueError(
            f"{where}: {name} is constant: all {unit} have the same features, so there is nothing to compare."
        )


def centred(where: str, name: str, X: np.ndarray, *, in_place: bool = False) -> np.ndarray:
    """X (n, d) float32 or float64 minus its column means, as `recentred` gives it; X may be written over if `in_place`."""
    mean = column_sums(X) / len(X)
    X = np.subtract(X, mean, out=X if in_place else None)
    return recentred(where, name, X, mean)


def recentred(where: str, name: str, X: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """X (n, d) less what is left of its column means; in float64 where float32 does not hold products of what is left.

    The first mean is rounded at its own size, which may be large beside the spread.

    Args:
        where: The function that asks.
        name: What it calls the matrix.
        X: Is changed.
        mean: (d,) what was taken off before.

    Raises:
        ValueError: If X is constant.
    """
    X -= column_sums(X) / len(X)
    return with_digits(where, name, X, mean, float(np.vdot(X, X)))[0]


def with_digits(where: str, name: str, X: np.ndarray, mean: np.ndarray, scatter: float) -> tuple[np.ndarray, float]:
    """Centred X (n, d) in float64 where float32 does not hold its products, and its scatter.

    Args:
        where: The function that asks.
        name: What it calls the matrix.
        X: Is changed where the mean left few digits.
        mean: (d,) what was taken off.
        scatter: Sum of its squares in its own dtype.

    Raises:
        ValueError: If X is constant.
    """
    mean = mean.astype(np.float64)
    if X.dtype != np.float64 and not scatter > len(X) * _FEW_DIGITS**2 * float(mean @ mean):
        # Little is left, or its squares vanish in float32: the sums are made again where they have digits.
        exact = X.astype(np.float64)
        exact -= exact.mean(axis=0)
        scatter = float(np.vdot(exact, exact))
        X[...] = exact
    check_varies(where, name, scatter, mean, len(X))
    return X if X.dtype == np.float64 or float32_holds(scatter, len(X)) else X.astype(np.float64), scatter


def column_sums(X: np.ndarray) -> np.ndarray:
    """(d,) sums over the rows of X (n, d) float32 or float64, in its dtype; a product, which is faster than `X.sum(axis=0)`."""
    return np.asarray(np.ones(len(X), dtype=X.dtype) @ X)


def paired_sequences(
    where: str, Xs: Sequence[np.ndarray], Ys: Sequence[np.ndarray], *, first: int = 0
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Token states of the same sequences as lists of (tokens, d) float64 copies.

    Args:
        where: The function that asks.
        Xs: Per sequence (T_i, d_x), a row per token.
        Ys: Per sequence (T_i, d_y), the same tokens.
        first: What number the first sequence has in messages.

    Raises:
        ValueError: If the numbers of sequences, or of one sequence's tokens, differ; features differ between sequences; or
            one is empty or not finite.
    """
    if len(Xs) != len(Ys):
        raise ValueError(f"{where}: X and Y must hold the same sequences, got {len(Xs)} and {len(Ys)}.")
    Xs64 = [matrix(where, f"X of sequence {first + i}", X) for i, X in enumerate(Xs)]
    Ys64 = [matrix(where, f"Y of sequence {first + i}", Y) for i, Y in enumerate(Ys)]
    for i, (X, Y) in enumerate(zip(Xs64, Ys64, strict=True)):
        if len(X) != len(Y):
            raise ValueError(
                f"{where}: X and Y must hold the same tokens of sequence {first + i}, got {len(X)} and {len(Y)}."
            )
        for name, found, expected in (("X", X, Xs64[0]), ("Y", Y, Ys64[0])):
            if found.shape[1] != expected.shape[1]:
                raise ValueError(
                    f"{where}: {name} must have as many features in every sequence, got {expected.shape[1]} and "
                    f"{found.shape[1]} (sequence {first + i})."
                )
    return Xs64, Ys64
