"""Whether states differ between examples at all, or by the rounding of a forward pass alone."""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-5
"""Of a state's length: so far other batches or machines move a float32 state. What varies less is not seen to vary."""
_CONSTANT = (
    "the {whose} model's states are the same for all examples, but for rounding, as where texts share the token that is read: "
    "nothing to compare"
)


class Spread:
    """How far the states of examples lie apart, in one pass."""

    def __init__(self) -> None:
        self._first: np.ndarray | None = None
        self._from_first = 0.0
        self._squares = 0.0

    @classmethod
    def of(cls, X: np.ndarray) -> Spread:
        """Of all states (n, d) at once."""
        spread = cls()
        spread.add(X)
        return spread

    def add(self, X: np.ndarray) -> None:
        """Counts in states (b, d) of any float dtype."""
        if not len(X):
            return
        X = X.astype(np.float64)
        if self._first is None:
            self._first = X[0].copy()
        moved = X - self._first
        self._from_first += float(np.vdot(moved, moved))
        self._squares += float(np.vdot(X, X))

    @property
    def is_rounding(self) -> bool:
        """Whether nothing but rounding lies between the examples."""
        return self._from_first <= _ROUNDING**2 * self._squares


def constant_note(base: Spread, other: Spread) -> str:
    """Why a measure that needs states to differ has no value; empty where they do."""
    for whose, spread in (("base", base), ("other", other)):
        if spread.is_rounding:
            return _CONSTANT.format(whose=whose)
    return ""
