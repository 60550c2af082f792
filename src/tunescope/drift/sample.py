"""Some of many examples, held beside the sums of all: what an interval over examples is made from.

Memory: m x d float32 for each model, state and pooling, m the examples that are held; O(d^2) where m is `held_limit(d)`.
"""

from __future__ import annotations

import numpy as np

from tunescope.drift.held import HeldStates
from tunescope.representations.side_by_side import StateBatch

_SEED = 0


class SampledStates:
    """Pooled states of a random sample of examples: the same ones whatever the batches and their order.

    Args:
        num_examples: n, the examples there are.
        num_held: m, how many of them are held, drawn without replacement; all of them where n is no more.

    Example:
        >>> SampledStates(5000, 2048).num_held, SampledStates(40, 2048).num_held
        (2048, 40)
    """

    def __init__(self, num_examples: int, num_held: int) -> None:
        self.num_examples = num_examples
        self.num_held = min(num_held, num_examples)
        chosen = np.random.default_rng(_SEED).choice(num_examples, size=self.num_held, replace=False)
        self._rows = np.full(num_examples, -1, dtype=np.int64)
        """(n,) the row of each example that is held; -1: it is not."""
        self._rows[np.sort(chosen)] = np.arange(self.num_held)
        self._held = HeldStates(self.num_held)

    def add(self, batch: StateBatch) -> None:
        """Keeps the batch's rows that are in the sample; states of single tokens are not held."""
        rows = self._rows[batch.places]
        is_held = rows >= 0
        if not is_held.any():
            return
        states = tuple(
            {key: X[is_held] for key, X in of_model.items() if isinstance(X, np.ndarray)} for of_model in batch.states
        )
        self._held.add(StateBatch(places=rows[is_held], states=states))

    def of(self, model: int, state: str, pooling: str) -> np.ndarray:
        """(m, d) float32, in the examples' order."""
        return self._held.of(model, state, pooling)
