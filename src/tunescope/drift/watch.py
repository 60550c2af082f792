"""Drift through a training: the same few examples read again and again, against what the base model made of them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

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

_MOST_EXAMPLES, _FEWEST_EXAMPLES, _FEWEST_AT_ALL = 128, 16, 8
"""Of a probe: at most, where more than two readings are made, and for one or two."""
_BUDGET = 0.035
"""Share of a training's forward passes that its readings may cost: passes without gradients in small batches are slower than
operations say, by up to a half in a model of 1 M parameters (benchmarks/drift_overhead.py)."""
_MOST = 0.045
"""The share beyond which there is no reading at all, a bare one at the end and the base model's being more than it is worth."""
_FIXED = 2
"""What a reading costs however few its examples, in examples."""
_PASSES, _PASSES_OF_HEAD = 2.0, 0.75
"""What a training example costs, in forward passes that a reading makes: of LoRA, and of the head alone. Of full fine-tuning, 3."""


@dataclass(frozen=True, kw_only=True)
class Readings:
    """How often a probe of how many examples is read through a training."""

    num_examples: int
    """Of the probe."""
    every: float
    """Share of the steps between two readings; the last one is at the end."""
    asked: float
    """What the study asks for: no reading comes sooner."""
    expected_share: float
    """What all readings cost, the base model's included, as a share of the training by LoRA; of the head alone, where it is."""

    @property
    def fit(self) -> bool:
        """Whether the training is long enough to be read at all."""
        return self.expected_share <= _MOST

    @property
    def num_readings(self) -> int:
        """Of the model in training, where they fit; the base model is read once besides."""
        return _count(self.every)

    @property
    def note(self) -> str:
        """Why it is not what the study asks for; empty where it is."""
        if not self.fit:
            return (
                f"drift is not followed through the training: reading {self.num_examples} examples once at its end, and of the "
                f"base model, would cost about {self.expected_share:.0%} of so short a one"
            )
        if self.every == self.asked:
            return ""
        each = self.expected_share / (self.num_readings + 1)
        return (
            f"every {self.every:.3g} instead of {self.asked:.3g}: a reading of {self.num_examples} examples costs about "
            f"{each:.1%} of so short a training; these and the base model's, {self.expected_share:.1%}"
        )


def plan_readings(every: float, num_examples_seen: int, num_available: int, *, head_alone: bool = False) -> Readings:
    """As many readings as are expected to cost less than 5% of a training's time.

    First the probe gives way, from 128 examples down to 16; then the readings, down to one in the middle and one at the end;
    then the probe again, down to 8; then the reading in the middle (below 343 examples seen); and where one at the end does not `fit`
    (below 223), there is none. Depends on counts alone, so that a training that is resumed reads where it would have, and
    methods that change the backbone are read alike.

    Args:
        every: Share of the steps between two readings that is asked for, above 0 and at most 1.
        num_examples_seen: Examples that training reads, each as often as it is read.
        num_available: Examples that a probe can be taken from.
        head_alone: Whether the head alone is trained: such a training costs half as much as LoRA's.
    """
    training = num_examples_seen * (_PASSES_OF_HEAD if head_alone else _PASSES)
    budget, wanted = int(_BUDGET * training), _count(every)
    num_readings = max(min(wanted, 2), min(wanted, budget // (_FEWEST_EXAMPLES + _FIXED) - 1))
    if budget < (num_readings + 1) * _FEWEST_AT_ALL:
        num_readings = 1
    num_examples = max(_FEWEST_AT_ALL, min(_MOST_EXAMPLES, budget // (num_readings + 1) - _FIXED))
    num_examples = min(num_examples, num_available)
    return Readings(
        num_examples=num_examples,
        every=every if num_readings == wanted else 1.0 / num_readings,
        asked=every,
        expected_share=(num_examples + _FIXED) * (num_readings + 1) / training,
    )


class DriftWatch:
    """Reads a probe whenever another share of the training is done.

    Args:
        network: The base model, before a method is applied to it.
        encoded: Tokens of rows that are not trained on.
        readings: How often, and how many of their examples, the first.
        pooling: How a text's hidden states become one vector.
        batch_tokens: Tokens, padding included, read at once.
    """

    def __init__(
        self, network: Network, encoded: Encoded, *, readings: Readings, pooling: Pooling, batch_tokens: int
    ) -> None:
        began = time.perf_counter()
        self._network, self._pooling, self._batch_tokens = network, pooling, batch_tokens
        self.readings = readings
        self._probe = _first_examples(encoded, readings.num_examples)
        self.num_probe = len(np.unique(self._probe.example_index))
        self._base = self._read(network.model)
        self.seconds = time.perf_counter() - began
        """Spent so far, the CKAs included."""

    def is_due(self, step: int, num_steps: int) -> bool:
        """Whether a reading is due after a step, counted from 1: at every share of the steps, and at the end."""
        every = self.readings.every * num_steps
        return step == num_steps or math.floor(step / every + 1e-9) > math.floor((step - 1) / every + 1e-9)

    def read(self, model: nn.Module) -> dict[str, float | None]:
        """Debiased linear CKA of each state with the base model's; None where it is not defined."""
        began = time.perf_counter()
        now = self._read(model)
        found: dict[str, float | None] = {}
        for state in self._base.names(0):
            X, Y = self._base.of(0, state, self._pooling), now.of(0, state, self._pooling)
            if constant_note(Spread.of(X), Spread.of(Y)) or len(X) < MIN_EXAMPLES_DEBIASED:
                found[state] = None
                continue
            value = debiased_linear_cka(X, Y)
            found[state] = value if math.isfinite(value) else None
        self.seconds += time.perf_counter() - began
        return found

    def _read(self, model: nn.Module) -> HeldStates:
        held = HeldStates(self.num_probe)
        for batch in paired_states(
            [model], self._network, self._probe, reads=(self._pooling,), batch_tokens=self._batch_tokens
        ):
            held.add(batch)
        return held


def _count(every: float) -> int:
    """Readings at every share of the steps, and at the end."""
    return math.ceil(1.0 / every - 1e-9)


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
