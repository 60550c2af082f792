"""Pooled states of many examples as sums: linear CKA and the measures that average over examples, O(d^2) memory whatever n."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tunescope.drift.pair import Pair
from tunescope.drift.row import LAYER_PAIRS, NOT_POSITIVE, DriftRow, layer_row
from tunescope.drift.spread import Spread, constant_note
from tunescope.representations.side_by_side import StateBatch
from tunescope.similarity.aligned import cosines
from tunescope.similarity.jackknife import Jackknife, interval
from tunescope.similarity.measures import MEASURES
from tunescope.similarity.streaming import PairSums, SelfSums


class SummedStates:
    """Sums over examples of every pair of models, state and pooling; a base's own are kept once, however many pairs it is in.

    Args:
        pairs: Which models are compared; of each pair, the states must be the same.

    Products are in float64 too: beside the models' forward passes they cost little, and what comes out is what held states
    would give.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = tuple(pairs)
        self._of_base: dict[tuple[int, str, str], _Base] = {}
        self.sums: dict[tuple[str, str, str], _Sums] = {}
        """By compared model, state and pooling."""

    def add(self, batch: StateBatch) -> None:
        """Counts in a batch; states of single tokens are left to `TokenStates`."""
        for place in dict.fromkeys(pair.base for pair in self._pairs):
            for (state, pooling), X in batch.states[place].items():
                if isinstance(X, np.ndarray):
                    self._of_base.setdefault(
                        (place, state, pooling), _Base(SelfSums(X.shape[1], dtype=np.float64))
                    ).add(X)
        for pair in self._pairs:
            for (state, pooling), X in batch.states[pair.base].items():
                Y = batch.states[pair.other][(state, pooling)]
                if not isinstance(X, np.ndarray) or not isinstance(Y, np.ndarray):
                    continue
                key = (pair.compared, state, pooling)
                if key not in self.sums:
                    base = self._of_base[(pair.base, state, pooling)]
                    self.sums[key] = _Sums(base, PairSums(X.shape[1], Y.shape[1], with_base=False, dtype=np.float64))
                self.sums[key].add(X, Y)


@dataclass
class _Base:
    """One state of a base model."""

    sums: SelfSums
    spread: Spread = field(default_factory=Spread)

    def add(self, X: np.ndarray) -> None:
        self.sums.update(X)
        self.spread.add(X)


@dataclass
class _Sums:
    """One state of a pair of models."""

    base: _Base
    pair: PairSums
    spread: Spread = field(default_factory=Spread)
    """Of the other model."""
    widths: tuple[int, int] = (0, 0)
    cosine: list[np.ndarray] = field(default_factory=list)
    moved: list[np.ndarray] = field(default_factory=list)
    """|y_i - x_i|^2 of each example."""
    before: list[np.ndarray] = field(default_factory=list)
    """|x_i|^2."""
    after: list[np.ndarray] = field(default_factory=list)
    """|y_i|^2."""

    def add(self, X: np.ndarray, Y: np.ndarray) -> None:
        self.pair.update(X, Y)
        self.spread.add(Y)
        self.widths = X.shape[1], Y.shape[1]
        if X.shape[1] != Y.shape[1]:
            return
        X, Y = X.astype(np.float64), Y.astype(np.float64)
        for kept, rows in ((self.moved, Y - X), (self.before, X), (self.after, Y)):
            kept.append(np.einsum("ij,ij->i", rows, rows))
        has_direction = (self.before[-1] > 0.0) & (self.after[-1] > 0.0)
        each = np.full(len(X), np.nan)
        each[has_direction] = cosines(X[has_direction], Y[has_direction]) if has_direction.any() else np.nan
        self.cosine.append(each)


def rows_of_sums(summed: SummedStates, measures: Sequence[str], *, layer_pairs: bool) -> Iterator[DriftRow]:
    """Every measure that sums are enough for; the others with what they would need."""
    for (compared, state, pooling), sums in summed.sums.items():
        for measure in measures:
            yield _row(sums, compared, state, pooling, measure)
        for (of, other, read), theirs in summed.sums.items() if layer_pairs else ():
            if (of, read) == (compared, pooling):
                n = theirs.pair.num_examples
                yield layer_row(
                    compared,
                    state,
                    pooling,
                    LAYER_PAIRS,
                    other_state=other,
                    num_examples=n,
                    notes=(_needs_all(LAYER_PAIRS, n),),
                )


def _row(sums: _Sums, compared: str, state: str, pooling: str, measure: str) -> DriftRow:
    n = sums.pair.num_examples
    record = MEASURES[measure]
    value: float | None = None
    found: Jackknife | None = None
    notes: list[str] = []
    try:
        constant = constant_note(sums.base.spread, sums.spread) if record.needs_spread else ""
        if constant:
            raise ValueError(constant)
        value, left_out = _value(sums, measure)
    except ValueError as problem:
        notes.append(str(problem))
    else:
        if not math.isfinite(value):
            value, notes = None, [NOT_POSITIVE]
        else:
            notes.append(record.regime(n, *sums.widths) or "")
            found = None if left_out is None else interval(value, left_out)
    return layer_row(compared, state, pooling, measure, num_examples=n, value=value, interval=found, notes=notes)


def _value(sums: _Sums, measure: str) -> tuple[float, np.ndarray | None]:
    """A measure and, where it is known, its value without each example; ValueError where it is not defined or sums are not enough."""
    if measure == "debiased_linear_cka":
        return sums.pair.debiased_linear_cka(sums.base.sums.terms()), None
    if measure == "linear_cka":
        return sums.pair.linear_cka(sums.base.sums.terms()), None
    if measure not in ("cosine", "relative_change", "norm_ratio"):
        raise ValueError(_needs_all(measure, sums.pair.num_examples))
    if not sums.before:
        raise ValueError(f"{measure}: X and Y must have the same features, got {sums.widths[0]} and {sums.widths[1]}")
    if measure == "cosine":
        each = np.concatenate(sums.cosine)
        without = np.flatnonzero(np.isnan(each))
        if without.size:
            raise ValueError(f"cosine: the states of {without.size} examples are all zeros: they have no direction.")
        return float(each.mean()), (each.sum() - each) / (len(each) - 1)
    above = np.concatenate(sums.moved if measure == "relative_change" else sums.after)
    below = np.concatenate(sums.before)
    if not below.sum() > 0.0:
        raise ValueError(f"{measure}: X is all zeros: there is no length to measure by.")
    rest = below.sum() - below
    left_out = np.sqrt(np.maximum(above.sum() - above, 0.0) / rest) if (rest > 1e-14 * below.sum()).all() else None
    return float(np.sqrt(above.sum() / below.sum())), left_out


def _needs_all(measure: str, num_examples: int) -> str:
    return f"{measure} needs all {num_examples:,} examples at once, more than are held. Lower num_examples."
