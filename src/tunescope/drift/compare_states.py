"""Batches of hidden states of several models -> rows of drift, in one pass over the examples.

Where the examples are few, n <= `held_limit(d)`, pooled states are held in memory and every measure is computed from them, with
jackknife intervals. Where they are more, sums alone are held, O(d^2) whatever n: the CKAs and the measures of single examples
are computed, the others say what they would need. States of single tokens are summed however few the examples are; those of a
sample of examples are held beside the sums for intervals (`sequence_sample`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from tunescope.drift.base_statistics import BaseStatistics, Kind
from tunescope.drift.held import HeldStates, rows_of_held
from tunescope.drift.pair import Pair
from tunescope.drift.row import DriftRow
from tunescope.drift.summed import SummedStates, rows_of_sums
from tunescope.drift.tokens import TokenStates
from tunescope.errors import DataError, ModelError
from tunescope.representations.side_by_side import StateBatch
from tunescope.similarity.base_terms import BaseTerms
from tunescope.similarity.hsic import MIN_EXAMPLES_DEBIASED
from tunescope.similarity.streaming import SelfTerms
from tunescope.similarity.tokens import TokenTerms

_HELD_AT_LEAST = 2048


def held_limit(num_features: int) -> int:
    """Examples up to which pooled states are held: max(d, 2,048).

    Bytes of each state, for a base model, a run and its random update, at n = d: 12 d^2 held, and 28 d^2 while all layer
    pairs are computed, where the float64 sums take 40 d^2. Where d is small, 2,048 examples are 8 KB a feature, model and
    state.
    """
    return max(num_features, _HELD_AT_LEAST)


def require_enough(num_examples: int) -> None:
    """Raises DataError if there are fewer examples than a debiased CKA is defined for."""
    if num_examples < MIN_EXAMPLES_DEBIASED:
        raise DataError(
            f"drift: needs at least {MIN_EXAMPLES_DEBIASED} examples for a debiased CKA, got {num_examples}. Give more."
        )


def compare_states(
    batches: Iterable[StateBatch],
    pairs: Sequence[Pair],
    *,
    num_examples: int,
    num_features: int,
    measures: Sequence[str],
    layer_pairs: bool = False,
    base: BaseStatistics | None = None,
) -> list[DriftRow]:
    """Every measure of every layer of every pair of models.

    Args:
        batches: As `paired_states` gives them, every example once.
        pairs: Which models are compared.
        num_examples: n, all batches together.
        num_features: d of the base model.
        measures: Names in `MEASURES`.
        layer_pairs: Whether every layer of the one model is compared with every layer of the other by debiased CKA too.
        base: What is known of the first model from these examples, which is not computed again then.

    Returns:
        Rows by pair, pooling, state and measure, the layer pairs of a pooling after its layers; where examples are summed,
        after each layer. States of single tokens come last.

    Raises:
        DataError: If there are fewer than 4 examples.
        ModelError: If two models differ in depth, and what is asked compares layer by layer; if `base` is of other states.
    """
    require_enough(num_examples)
    limit = held_limit(num_features)
    held, sums, tokens = (
        HeldStates(num_examples),
        SummedStates(pairs, num_examples=num_examples, num_sampled=limit, known=partial(_known, base, SelfTerms)),
        TokenStates(pairs, partial(_known, base, TokenTerms)),
    )
    for batch in batches:
        _require_comparable(batch, pairs, num_examples, limit, layer_pairs=layer_pairs)
        if base is not None and tuple(batch.states[0]) != tuple(base.terms):
            raise ModelError(
                f"drift: what is known of the base model is of the states {_listed(base.terms)}, and those read are "
                f"{_listed(batch.states[0])}. Run its represent job again."
            )
        (held if num_examples <= limit else sums).add(batch)
        tokens.add(batch)
    rows: list[DriftRow] = []
    for pair in pairs:
        known = partial(_known, base if pair.base == 0 else None, BaseTerms)
        rows.extend(rows_of_held(held, pair, measures, layer_pairs=layer_pairs, base=known))
    return [*rows, *rows_of_sums(sums, measures, layer_pairs=layer_pairs), *tokens.rows(measures)]


def _known(base: BaseStatistics | None, kind: type[Kind], state: str, read: str) -> Kind | None:
    return None if base is None else base.of(kind, state, read)


def _listed(names: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{state} ({read})" for state, read in names)


def _require_comparable(
    batch: StateBatch, pairs: Sequence[Pair], num_examples: int, limit: int, *, layer_pairs: bool
) -> None:
    """Models of different depth have no layers in common, only pairs of layers, for which pooled states must be held."""
    for pair in pairs:
        base, other = batch.states[pair.base], batch.states[pair.other]
        if base.keys() == other.keys():
            continue
        depths = " and ".join(str(len({state for state, _ in states})) for states in (base, other))
        if any(read == "all_tokens" for _, read in base):
            raise ModelError(
                f"drift: the models differ in depth ({depths} states), and tokens are compared layer by layer. "
                f"Choose a pooling that gives one vector per text."
            )
        if num_examples > limit:
            raise ModelError(
                f"drift: the models differ in depth ({depths} states), and pairs of layers are compared on {limit:,} examples "
                f"at most, got {num_examples:,}. Lower the number of examples."
            )
        if not layer_pairs:
            raise ModelError(f"drift: the models differ in depth ({depths} states). Ask for layer pairs.")
