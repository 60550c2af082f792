"""Pooled states of many examples as sums: linear CKA and the measures that average over examples, O(d^2) memory whatever n."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tunescope.drift.pair import Pair
from tunescope.drift.row import DriftRow
from tunescope.representations.side_by_side import StateBatch
from tunescope.similarity.aligned import cosines
from tunescope.similarity.jackknife import interval
from tunescope.similarity.measures import MEASURES
from tunescope.similarity.streaming import PairSums


class SummedStates:
    """Sums over examples of every pair of models, state and pooling.

    Args:
        pairs: Which models are compared.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = tuple(pairs)
        self.sums: dict[tuple[str, str, str], _Sums] = {}
        """By compared model, state and pooling."""

    def add(self, batch: StateBatch) -> None:
        """Counts in a batch; of models whose states differ nothing can be summed, and nothing is."""
        for pair in self._pairs:
            base, other = batch.states[pair.base], batch.states[pair.other]
            if base.keys() != other.keys():
                continue
            for (state, pooling), X in base.items():
                Y = other[(state, pooling)]
                assert isinstance(X, np.ndarray)
                assert isinstance(Y, np.ndarray), "pooled"
                key = (pair.compared, state, pooling)
                if key not in self.sums:
                    self.sums[key] = _Sums(PairSums(X.shape[1], Y.shape[1]))
                self.sums[key].add(X, Y)


@dataclass
class _Sums:
    pair: PairSums
    cosine: list[np.ndarray] = field(default_factory=list)
    moved: list[np.ndarray] = field(default_factory=list)
    """|y_i - x_i|^2 of each example."""
    base: list[np.ndarray] = field(default_factory=list)
    """|x_i|^2."""
    other: list[np.ndarray] = field(default_factory=list)
    """|y_i|^2."""
    reason: str = ""
    """Why cosines are not defined."""

    def add(self, X: np.ndarray, Y: np.ndarray) -> None:
        self.pair.update(X, Y)
        if X.shape[1] != Y.shape[1]:
            self.reason = f"X and Y must have the same features, got {X.shape[1]} and {Y.shape[1]}"
            return
        X, Y = X.astype(np.float64), Y.astype(np.float64)
        try:
            self.cosine.append(cosines(X, Y, where="cosine"))
        except ValueError as problem:
            self.reason = str(problem)
        for kept, rows in ((self.moved, Y - X), (self.base, X), (self.other, Y)):
            kept.append(np.einsum("ij,ij->i", rows, rows))


def rows_of_sums(summed: SummedStates, measures: Sequence[str]) -> Iterator[DriftRow]:
    """Every measure that sums are enough for; the others with what they would need."""
    for (compared, state, pooling), sums in summed.sums.items():
        for measure in measures:
            yield _row(sums, compared, state, pooling, measure)


def _row(sums: _Sums, compared: str, state: str, pooling: str, measure: str) -> DriftRow:
    n = sums.pair.num_examples
    value, left_out, note = None, None, ""
    try:
        value, left_out = _value(sums, measure)
    except ValueError as problem:
        note = str(problem)
    if value is not None and not math.isfinite(value):
        value, note = None, "not defined: a self-term is not positive"
    found = None if value is None or left_out is None else interval(value, left_out)
    return DriftRow(
        compared=compared,
        state=state,
        other_state=state,
        pooling=pooling,
        measure=measure,
        value=value,
        standard_error=None if found is None else found.standard_error,
        ci_low=None if found is None else found.ci_low,
        ci_high=None if found is None else found.ci_high,
        num_examples=n,
        note=note,
    )


def _value(sums: _Sums, measure: str) -> tuple[float, np.ndarray | None]:
    """A measure and, where it is known, its value without each example; ValueError where it is not defined or sums are not enough."""
    if measure == "debiased_linear_cka":
        return sums.pair.debiased_linear_cka(), None
    if measure == "linear_cka":
        return sums.pair.linear_cka(), None
    if measure in ("cosine", "relative_change", "norm_ratio"):
        if sums.reason:
            raise ValueError(sums.reason)
        if measure == "cosine":
            each = np.concatenate(sums.cosine)
            return float(each.mean()), (each.sum() - each) / (len(each) - 1)
        above = np.concatenate(sums.moved if measure == "relative_change" else sums.other)
        below = np.concatenate(sums.base)
        if not below.sum() > 0.0:
            raise ValueError(f"{measure}: X is all zeros: there is no length to measure by.")
        left_out = np.sqrt(np.maximum(above.sum() - above, 0.0) / (below.sum() - below))
        return float(np.sqrt(above.sum() / below.sum())), left_out
    assert measure in MEASURES, measure
    raise ValueError(
        f"{measure} needs all {sums.pair.num_examples:,} examples at once, more than are held. Lower num_examples."
    )
