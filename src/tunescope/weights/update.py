"""One parameter of the base checkpoint and what fine-tuning added to it, dense or as the product of two factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

WHOLE_MODEL = "*"
"""The module of an update that belongs to no single parameter, such as a soft prompt."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LowRank:
    """An update of low rank that is never multiplied out: dW = scale * B A."""

    B: Floats
    """(m, r)"""
    A: Floats
    """(r, n)"""
    scale: float
    """alpha / r, or alpha / sqrt(r) with rsLoRA."""

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows start to stop of dW, (stop - start, n), multiplied out in float64."""
        product: NDArray[np.float64] = self.B[start:stop].astype(np.float64) @ self.A.astype(np.float64)
        return self.scale * product


@dataclass(frozen=True, kw_only=True, eq=False)
class ModuleUpdate:
    """What happened to one parameter: `base + change` is its tuned value. Holds one module's arrays, nothing more."""

    module: str
    """Its name in the base checkpoint, or `WHOLE_MODEL`."""
    shape: tuple[int, ...]
    """Its shape in the base checkpoint."""
    base: Floats | None
    """Its value before, at least float32; None where there is no change to compare with it."""
    change: NDArray[np.float64] | LowRank | None
    """Of `base`'s shape; None where the method has no dW, and then `reason` says why."""
    reason: str = ""

    def dense(self) -> NDArray[np.float64]:
        """dW multiplied out, in float64 and the parameter's shape.

        Raises:
            ValueError: If there is no dW.
        """
        if self.change is None:
            raise ValueError(f"ModuleUpdate.dense: {self.module} has no dW: {self.reason}")
        return self.change.rows(0, self.shape[0]) if isinstance(self.change, LowRank) else self.change
