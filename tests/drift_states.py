"""Batches of hidden states made of arrays, as `paired_states` would give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tunescope.representations.side_by_side import StateBatch

States = Mapping[str, Any]


def some_states(
    seed: int, n: int = 40, d: int = 6, names: Sequence[str] = ("embeddings", "block_01", "block_02")
) -> dict[str, np.ndarray]:
    """Name -> (n, d) float32 about a mean that is large beside their spread."""
    rng = np.random.default_rng(seed)
    return {name: (rng.normal(size=(n, d)) + 5.0).astype(np.float32) for name in names}


def moved(states: States, by: float, seed: int = 9) -> dict[str, np.ndarray]:
    """The same with noise of a size."""
    rng = np.random.default_rng(seed)
    return {name: (rows + by * rng.normal(size=rows.shape)).astype(np.float32) for name, rows in states.items()}


def batches(*models: States, read: Any = "mean", size: int = 16, order_seed: int = 3) -> Iterator[StateBatch]:
    """The models' examples in batches, in an order of its own."""
    first = next(iter(models[0].values()))
    order = np.random.default_rng(order_seed).permutation(len(first))
    for start in range(0, len(order), size):
        places = order[start : start + size]
        yield StateBatch(
            places=places,
            states=tuple(
                {
                    (name, read): rows[places] if isinstance(rows, np.ndarray) else [rows[place] for place in places]
                    for name, rows in states.items()
                }
                for states in models
            ),
        )
