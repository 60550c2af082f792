"""Drift through a training: the same few examples read again and again, against what the base model made of them."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
from torch import nn

from tunescope.drift.held import HeldStates
from tunescope.drift.spread import Spread, constant_note
from tunescope.models.network import Network
from tunescope.representations.side_by_side import paired_states
from tunescope.similarity.cka import debiased_linear_cka
from tunescope.similarity.hsic import MIN_EXAMPLES_DEBIASED
from tunescope.study.drift import Pooling
from tunescope.tasks.encoded import Encoded

_FEWEST, _MOST = 16, 128
_SHARE_OF_EXAMPLES = 0.01
"""Probe examples per example trained on: ten readings, forward alone, are then some 3% of a full training's operations."""


def probe_size(num_examples_seen: int, num_available: int) -> int:
    """Examples of the probe: 1% of the examples that training reads, 16 to 128, as far as there are so many."""
    return min(num_available, max(_FEWEST, min(_MOST, round(_SHARE_OF_EXAMPLES * num_examples_seen))))


class DriftWatch:
    """Reads a probe whenever another share of the training is done.

    Args:
        network: The base model, before a method is applied to it.
        encoded: Tokens of rows that are not trained on.
        num_probe: How many of their examples are read, the first.
        pooling: How a text's hidden states become one vector.
        every: Share of the steps between two readings, above 0 and at most 1.
        batch_tokens: Tokens, padding included, read at once.
    """

    def __init__(
        self, network: Network, encoded: Encoded, *, num_probe: int, pooling: Pooling, every: float, batch_tokens: int
    ) -> None:
        self._network, self._pooling, self._every, self._batch_tokens = network, pooling, every, batch_tokens
        self._probe = _first_examples(encoded, num_probe)
        self.num_probe = len(np.unique(self._probe.example_index))
        self.seconds = 0.0
        """Spent reading, so far."""
        self._base = self._read(network.model)

    def is_due(self, step: int, num_steps: int) -> bool:
        """Whether a reading is due after a step, counted from 1: at every share of the steps, and at the end."""
        shares = math.floor(step / (self._every * num_steps) + 1e-9)
        before = math.floor((step - 1) / (self._every * num_steps) + 1e-9)
        return step == num_steps or shares > before

    def read(self, model: nn.Module) -> dict[str, float | None]:
        """Debiased linear CKA of each state with the base model's; None where it is not defined."""
        now = self._read(model)
        found: dict[str, float | None] = {}
        for state in self._base.names(0):
            X, Y = self._base.of(0, state, self._pooling), now.of(0, state, self._pooling)
            if constant_note(Spread.of(X), Spread.of(Y)) or len(X) < MIN_EXAMPLES_DEBIASED:
                found[state] = None
                continue
            value = debiased_linear_cka(X, Y)
            found[state] = value if math.isfinite(value) else None
        return found

    def _read(self, model: nn.Module) -> HeldStates:
        began = time.perf_counter()
        held = HeldStates(self.num_probe)
        for batch in paired_states(
            [model], self._network, self._probe, reads=(self._pooling,), batch_tokens=self._batch_tokens
        ):
            held.add(batch)
        self.seconds += time.perf_counter() - began
        return held


def _first_examples(encoded: Encoded, num: int) -> Encoded:
    """The rows of the first examples."""
    rows = np.flatnonzero(encoded.example_index < num).tolist()
    return replace(
        encoded,
        input_ids=[encoded.input_ids[row] for row in rows],
        token_types=None if encoded.token_types is None else [encoded.token_types[row] for row in rows],
        example_index=encoded.example_index[rows],
        targets=encoded.targets[rows],
        windows=None,
    )
