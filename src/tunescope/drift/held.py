"""Pooled states of few examples, held whole: every measure, with intervals where one is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tunescope.drift.pair import Pair
from tunescope.drift.row import DriftRow
from tunescope.representations.side_by_side import StateBatch
from tunescope.similarity.cka import cka_matrix
from tunescope.similarity.jackknife import debiased_cka_jackknife, interval
from tunescope.similarity.measures import MEASURES
from tunescope.study.drift import DRIFT_MEASURE

LAYER_PAIRS = "layer_pairs"
"""What the debiased linear CKA of all layer pairs is called in rows."""


class HeldStates:
    """Pooled states of several models, put back into the examples' order."""

    def __init__(self, num_examples: int) -> None:
        self.num_examples = num_examples
        self._states: dict[tuple[int, str, str], np.ndarray] = {}

    def add(self, batch: StateBatch) -> None:
        """Keeps a batch's rows, (b, d) float32 for each model, state and pooling."""
        for model, states in enumerate(batch.states):
            for (state, pooling), rows in states.items():
                assert isinstance(rows, np.ndarray), "pooled"
                key = (model, state, pooling)
                if key not in self._states:
                    self._states[key] = np.full((self.num_examples, rows.shape[1]), np.nan, dtype=np.float32)
                self._states[key][batch.places] = rows

    def poolings(self) -> list[str]:
        """The poolings there are."""
        return list(dict.fromkeys(pooling for _, _, pooling in self._states))

    def names(self, model: int) -> list[str]:
        """A model's states, from its input to its output."""
        return list(dict.fromkeys(state for owner, state, _ in self._states if owner == model))

    def of(self, model: int, state: str, pooling: str) -> np.ndarray:
        """(n, d) float32."""
        return self._states[(model, state, pooling)]


def rows_of_held(held: HeldStates, pair: Pair, measures: Sequence[str], *, layer_pairs: bool) -> Iterator[DriftRow]:
    """Every measure of every layer; of models whose depths differ the layer pairs alone."""
    names = held.names(pair.base)
    same_depth = names == held.names(pair.other)
    for pooling in held.poolings():
        for state in names if same_depth else ():
            X, Y = held.of(pair.base, state, pooling), held.of(pair.other, state, pooling)
            for measure in measures:
                yield _measured(X, Y, pair.compared, state, pooling, measure)
        if layer_pairs:
            yield from _all_pairs(held, pair, pooling)


def _measured(X: np.ndarray, Y: np.ndarray, compared: str, state: str, pooling: str, measure: str) -> DriftRow:
    record = MEASURES[measure]
    value: float | None = None
    error: float | None = None
    bounds: tuple[float | None, float | None] = (None, None)
    note = record.regime(len(X), X.shape[1], Y.shape[1]) or ""
    try:
        value = float(record.function(X, Y))
        if not math.isfinite(value):
            value, note = None, "not defined: a self-term is not positive"
        elif measure == DRIFT_MEASURE:
            jackknife = debiased_cka_jackknife(X, Y)
            error, bounds = jackknife.standard_error, (jackknife.ci_low, jackknife.ci_high)
        elif record.leave_one_out is not None:
            jackknife = interval(value, record.leave_one_out(X, Y))
            error, bounds = jackknife.standard_error, (jackknife.ci_low, jackknife.ci_high)
    except ValueError as problem:
        note = str(problem)
    return DriftRow(
        compared=compared,
        state=state,
        other_state=state,
        pooling=pooling,
        measure=measure,
        value=value,
        standard_error=error,
        ci_low=bounds[0],
        ci_high=bounds[1],
        num_examples=len(X),
        note=note,
    )


def _all_pairs(held: HeldStates, pair: Pair, pooling: str) -> Iterator[DriftRow]:
    """Debiased CKA of each layer of the one model with each of the other; the same layers too."""
    names, others = held.names(pair.base), held.names(pair.other)
    note = ""
    try:
        matrix = cka_matrix(
            [held.of(pair.base, name, pooling) for name in names],
            [held.of(pair.other, name, pooling) for name in others],
        )
    except ValueError as problem:
        note, matrix = str(problem), np.full((len(names), len(others)), np.nan)
    for name, line in zip(names, matrix, strict=True):
        for other, value in zip(others, line, strict=True):
            known = math.isfinite(value)
            yield DriftRow(
                compared=pair.compared,
                state=name,
                other_state=other,
                pooling=pooling,
                measure=LAYER_PAIRS,
                value=float(value) if known else None,
                standard_error=None,
                ci_low=None,
                ci_high=None,
                num_examples=held.num_examples,
                note=note or ("" if known else "not defined: a self-term is not positive"),
            )
