"""States of single tokens as sums: the debiased CKA without pairs of tokens of one text, O(d^2) memory whatever their number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tunescope.drift.pair import Pair
from tunescope.drift.row import NOT_POSITIVE, DriftRow, layer_row
from tunescope.drift.spread import Spread, constant_note
from tunescope.representations.side_by_side import StateBatch
from tunescope.similarity.measures import MEASURES
from tunescope.similarity.tokens import TokenPairSums, TokenTerms
from tunescope.study.drift import DRIFT_MEASURE


@dataclass
class _Sums:
    pair: TokenPairSums
    base_terms: Callable[[], TokenTerms]
    """Of those that are known, or of the first pair of this base model, which alone sums them."""
    widths: tuple[int, int]
    base: Spread = field(default_factory=Spread)
    other: Spread = field(default_factory=Spread)


class TokenStates:
    """Sums over texts of every pair of models and state.

    Args:
        pairs: Which models are compared; of each pair, the states must be the same.
        known: State and read -> the terms of the first model, where they are known; None where they are not.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        known: Callable[[str, str], TokenTerms | None] = lambda state, read: None,
    ) -> None:
        self._pairs, self._known = tuple(pairs), known
        self._sums: dict[tuple[str, str, str], _Sums] = {}
        self._first: dict[tuple[int, str], TokenPairSums] = {}

    def add(self, batch: StateBatch) -> None:
        """Counts in the batch's states of single tokens; pooled ones are left to others."""
        for pair in self._pairs:
            for (state, read), Xs in batch.states[pair.base].items():
                Ys = batch.states[pair.other].get((state, read))
                if isinstance(Xs, np.ndarray) or not isinstance(Ys, list):
                    continue
                key = (pair.compared, state, read)
                if key not in self._sums:
                    self._sums[key] = self._begun(pair, state, read, Xs[0].shape[1], Ys[0].shape[1])
                sums = self._sums[key]
                sums.pair.update(Xs, Ys)
                for spread, sequences in ((sums.base, Xs), (sums.other, Ys)):
                    spread.add(np.concatenate(sequences))

    def rows(self, measures: Sequence[str]) -> Iterator[DriftRow]:
        """The debiased CKA of each layer; the other measures with what they would need."""
        for (compared, state, read), sums in self._sums.items():
            for measure in measures:
                value, notes = _value(sums) if measure == DRIFT_MEASURE else (None, [_pooled_alone(measure)])
                yield layer_row(
                    compared, state, read, measure, num_examples=sums.pair.num_examples, value=value, notes=notes
                )

    def _begun(self, pair: Pair, state: str, read: str, width: int, other_width: int) -> _Sums:
        known = self._known(state, read) if pair.base == 0 else None
        if known is not None:
            return _Sums(TokenPairSums(width, other_width, with_base=False), lambda: known, (width, other_width))
        own = TokenPairSums(width, other_width, with_base=(pair.base, state) not in self._first)
        first = self._first.setdefault((pair.base, state), own)
        return _Sums(own, first.base_terms, (width, other_width))


def _value(sums: _Sums) -> tuple[float | None, list[str]]:
    constant = constant_note(sums.base, sums.other)
    if constant:
        return None, [constant]
    try:
        value = sums.pair.debiased_linear_cka(sums.base_terms())
    except ValueError as problem:
        return None, [str(problem)]
    if not math.isfinite(value):
        return None, [NOT_POSITIVE]
    return value, [MEASURES[DRIFT_MEASURE].regime(sums.pair.num_examples, *sums.widths) or ""]


def _pooled_alone(measure: str) -> str:
    return f"{measure} needs pooled states, one vector per text: not of all_tokens"
