"""Holm's correction: p-values of a family that can be read each on its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None] | np.ndarray) -> np.ndarray:
    """Holm-adjusted p-values; all below alpha are true differences but for a chance of at most alpha of one false among them.

    With the m p-values in rising order, the i-th becomes max over j <= i of (m - j + 1) p_(j), at most 1 (Holm, 1979,
    Scandinavian Journal of Statistics 6, 65-70). Holds under any dependence.

    Args:
        p_values: (n,) in [0, 1]; None where a comparison has none, which does not count towards the family.

    Returns:
        (n,) float64 in the same order; NaN exactly where None was given.

    Raises:
        ValueError: If a value is not in [0, 1].

    Example:
        >>> holm([0.01, None, 0.04]).round(12).tolist()
        [0.02, nan, 0.04]
    """
    given = [position for position, p_value in enumerate(p_values) if p_value is not None]
    raw = np.array([p_values[position] for position in given], dtype=np.float64)
    adjusted = np.full(len(p_values), np.nan)
    if not given:
        return adjusted
    if not ((raw >= 0.0) & (raw <= 1.0)).all():
        raise ValueError(f"holm: p-values must lie in [0, 1] or be None, got {raw.tolist()}.")
    order = np.argsort(raw, kind="stable")
    steps = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    adjusted[np.array(given)[order]] = np.minimum(steps, 1.0)
    return adjusted
