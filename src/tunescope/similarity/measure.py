"""All there is to know of one way to compare two representations: formula, source, range, what it does not see, where it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Map = Literal["rotation", "isotropic scaling", "translation", "invertible map", "permutation of features"]
"""What may be done to features: an orthogonal matrix (reflections too), a positive number, a vector added to every example, an
invertible matrix, a new order."""
Function = Callable[[np.ndarray, np.ndarray], float]
Regime = Callable[[int, int, int], str | None]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A measure's value, and why it says little if it does."""

    measure: str
    value: float
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of two representations X (n, d_x) of the base model and Y (n, d_y) of the tuned one."""

    name: str
    function: Function
    """X and Y -> the number; ValueError where it is not defined."""
    formula: str
    """In X, Y and their examples x_i, y_i; Xc, Yc have their column means removed."""
    source: str
    range: tuple[float, float]
    """Least and greatest value but for rounding."""
    unit: str = ""
    """Empty where it has none."""
    higher_means: str
    of_itself: float
    """What X gives with X."""
    unchanged_by: frozenset[Map]
    """Maps of X alone, or of Y alone, that change nothing."""
    unchanged_by_same: frozenset[Map]
    """Maps that change nothing where X and Y undergo the same one; `unchanged_by` is a part of it."""
    is_symmetric: bool
    same_features: bool
    """Whether feature j must mean the same on both sides, so that d_x = d_y."""
    needs_spread: bool = True
    """Whether it is undefined where all examples have the same features."""
    min_examples: int
    regime: Regime
    """n >= `min_examples`, d_x, d_y -> why a value there says little; None where nothing speaks against it."""
    fails: str
    """Known failure modes."""
    leave_one_out: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    """X and Y -> (n,) the measure without each example, at about the cost of one; None where there is no such short cut."""

    def of(self, X: np.ndarray, Y: np.ndarray) -> Measured:
        """The value with its warning.

        Args:
            X: (n, d_x) the base model's representation.
            Y: (n, d_y) the tuned model's, same examples in the same order.

        Raises:
            ValueError: Where the measure is not defined.
        """
        value = self.function(X, Y)
        return Measured(measure=self.name, value=value, note=self.regime(len(X), np.shape(X)[1], np.shape(Y)[1]))


def always_valid(num_examples: int, num_features_x: int, num_features_y: int) -> str | None:
    """The regime of a measure that averages over examples: its error shrinks with n, whatever d."""
    return None
