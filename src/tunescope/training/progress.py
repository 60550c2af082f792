"""How far a run is, for whoever watches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands after an optimiser step."""

    step: int
    num_steps: int
    loss: float
    """Mean loss over the step's rows."""
    rate: float
    """Optimiser steps per second, scoring included."""
    remaining_s: float
