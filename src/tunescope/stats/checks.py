"""What every function here asks of its numbers: a row of finite values, at least so many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def finite_vector(where: str, name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The values as (n,) float64, n >= 1.

    Args:
        where: The function that asks, for the message.
        name: What it calls the values.
        values: (n,) numbers or booleans.

    Raises:
        ValueError: If they are not one row, there are none, or one is not a finite number.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{where}: {name} must be one row of numbers, got shape {array.shape}.")
    if array.size == 0:
        raise ValueError(f"{where}: {name} is empty.")
    if not np.isfinite(array).all():
        first = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{where}: {name} must be finite numbers, got {array[first]} at position {first}.")
    return array


def check_share(where: str, name: str, value: float) -> None:
    """Raises ValueError unless 0 < value < 1."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{where}: {name} must lie between 0 and 1, got {value}.")
