"""Which of the models that are read side by side are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two models by their places in the list that was read."""

    compared: str
    """What the second is called in rows."""
    base: int = 0
    other: int = 1
