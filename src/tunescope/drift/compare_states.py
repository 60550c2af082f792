"""Batches of hidden states of several models -> rows of drift, in one pass over the examples.

Where the examples are few, n <= `held_limit(d)`, pooled states are held in memory and every measure is computed from them, with
jackknife intervals. Where they are more, sums alone are held, O(d^2) whatever n: the CKAs and the measures of single examples
are computed, the others say what they would need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunescope.drift.held import HeldStates, rows_of_held
from tunescope.drift.pair import Pair
from tunescope.drift.row import DriftRow
from tunescope.drift.summed import SummedStates, rows_of_sums
from tunescope.representations.side_by_side import StateBatch

_HELD_AT_LEAST = 2048


def held_limit(num_features: int) -> int:
    """Examples up to which pooled states are held: as many floats, at most, as the d x d sums would be, or 2,048 examples."""
    return max(num_features, _HELD_AT_LEAST)


def compare_states(
    batches: Iterable[StateBatch],
    pairs: Sequence[Pair],
    *,
    num_examples: int,
    num_features: int,
    measures: Sequence[str],
    layer_pairs: bool = False,
) -> list[DriftRow]:
    """Every measure of every layer of every pair of models.

    Args:
        batches: As `paired_states` gives them, every example once.
        pairs: Which models are compared.
        num_examples: n, all batches together.
        num_features: d of the base model.
        measures: Names in `MEASURES`.
        layer_pairs: Whether every layer of the one model is compared with every layer of the other by debiased CKA too.

    Returns:
        Rows by pair, state, pooling and measure, then the layer pairs.
    """
    if num_examples <= held_limit(num_features):
        held = HeldStates(num_examples)
        for batch in batches:
            held.add(batch)
        return [row for pair in pairs for row in rows_of_held(held, pair, measures, layer_pairs=layer_pairs)]
    sums = SummedStates(pairs)
    for batch in batches:
        sums.add(batch)
    return list(rows_of_sums(sums, measures))
