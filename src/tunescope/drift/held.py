"""Pooled states of few examples, held whole: every measure, with intervals where one is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tunescope.drift.pair import Pair
from tunescope.drift.row import LAYER_PAIRS, NOT_POSITIVE, DriftRow, layer_row
from tunescope.drift.spread import Spread, constant_note
from tunescope.representations.side_by_side import StateBatch
from tunescope.similarity.base_terms import BaseTerms
from tunescope.similarity.cka import cka_matrix
from tunescope.similarity.jackknife import Jackknife, PairCka, interval
from tunescope.similarity.measures import MEASURES
from tunescope.study.drift import DRIFT_MEASURE


class HeldStates:
    """Pooled states of several models, put back into the examples' order."""

    def __init__(self, num_examples: int) -> None:
        self.num_examples = num_examples
        self._states: dict[tuple[int, str, str], np.ndarray] = {}

    def add(self, batch: StateBatch) -> None:
        """Keeps a batch's rows, (b, d) float32 for each model, state and pooling; states of single tokens are not held."""
        for model, states in enumerate(batch.states):
            for (state, pooling), rows in states.items():
                if not isinstance(rows, np.ndarray):
                    continue
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


def rows_of_held(
    held: HeldStates,
    pair: Pair,
    measures: Sequence[str],
    *,
    layer_pairs: bool,
    base: Callable[[str, str], BaseTerms | None] = lambda state, pooling: None,
) -> Iterator[DriftRow]:
    """Every measure of every layer; of models whose depths differ the layer pairs alone.

    Args:
        held: The states of all models.
        pair: Which two are compared.
        measures: Names in `MEASURES`.
        layer_pairs: Whether every layer is compared with every other one too.
        base: State and pooling -> what is known of the pair's base; None where nothing is.
    """
    names = held.names(pair.base)
    same_depth = names == held.names(pair.other)
    for pooling in held.poolings():
        for state in names if same_depth else ():
            X, Y = held.of(pair.base, state, pooling), held.of(pair.other, state, pooling)
            constant = constant_note(Spread.of(X), Spread.of(Y))
            cka = PairCka(X, Y, base(state, pooling))
            for measure in measures:
                yield _measured(X, Y, cka, pair.compared, state, pooling, measure, constant)
        if layer_pairs:
            yield from _all_pairs(held, pair, pooling)


def _measured(
    X: np.ndarray, Y: np.ndarray, cka: PairCka, compared: str, state: str, pooling: str, measure: str, constant: str
) -> DriftRow:
    record = MEASURES[measure]
    of_shared_products = {"linear_cka": cka.linear_cka, DRIFT_MEASURE: cka.debiased_linear_cka}
    value: float | None = None
    found: Jackknife | None = None
    notes: list[str] = []
    try:
        if record.needs_spread and constant:
            raise ValueError(constant)
        value = of_shared_products[measure]() if measure in of_shared_products else float(record.function(X, Y))
    except ValueError as problem:
        notes.append(str(problem))
    if value is not None and not math.isfinite(value):
        value, notes = None, [NOT_POSITIVE]
    if value is not None:
        notes.append(record.regime(len(X), X.shape[1], Y.shape[1]) or "")
        try:
            if measure == DRIFT_MEASURE:
                found = cka.jackknife()
            elif record.leave_one_out is not None:
                found = interval(value, record.leave_one_out(X, Y))
        except ValueError as problem:
            notes.append(f"no interval: {problem}")
    return layer_row(compared, state, pooling, measure, num_examples=len(X), value=value, interval=found, notes=notes)


def _all_pairs(held: HeldStates, pair: Pair, pooling: str) -> Iterator[DriftRow]:
    """Debiased CKA of each layer of the one model with each of the other; the same layers too."""
    names, others = held.names(pair.base), held.names(pair.other)
    spreads = [
        {name: Spread.of(held.of(model, name, pooling)) for name in held.names(model)}
        for model in (pair.base, pair.other)
    ]
    # One layer of states that are all alike (prompts end on one token) would leave the whole matrix without a value.
    vary, others_vary = ([name for name, spread in side.items() if not spread.is_rounding] for side in spreads)
    values: dict[tuple[str, str], float] = {}
    problem = ""
    if vary and others_vary:
        try:
            matrix = cka_matrix(
                [held.of(pair.base, name, pooling) for name in vary],
                [held.of(pair.other, name, pooling) for name in others_vary],
            )
        except ValueError as error:
            problem = str(error)
        else:
            values = {
                (name, other): float(value)
                for name, line in zip(vary, matrix, strict=True)
                for other, value in zip(others_vary, line, strict=True)
            }
    for name in names:
        for other in others:
            value = values.get((name, other), math.nan)
            note = problem or constant_note(spreads[0][name], spreads[1][other]) or NOT_POSITIVE
            known = math.isfinite(value)
            yield layer_row(
                pair.compared,
                name,
                pooling,
                LAYER_PAIRS,
                other_state=other,
                num_examples=held.num_examples,
                value=value if known else None,
                notes=() if known else (note,),
            )
