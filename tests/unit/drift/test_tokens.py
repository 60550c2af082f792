"""States of single tokens: one number per layer, pairs of tokens of one text left out, none of the other measures."""

from __future__ import annotations

import numpy as np
import pytest

from drift_states import batches, moved, some_states
from tunescope.drift.pair import Pair
from tunescope.drift.tokens import TokenStates
from tunescope.similarity.cka import debiased_linear_cka
from tunescope.similarity.tokens import TokenPairSums

CKA = "debiased_linear_cka"
PAIR = (Pair(compared="tuned"),)


def _texts(seed, lengths, d=5):
    rng = np.random.default_rng(seed)
    return {
        name: [(rng.normal(size=(n, d)) + 3.0).astype(np.float32) for n in lengths] for name in ("block_01", "block_02")
    }


def _rows(*models, pairs=PAIR, measures=(CKA,), **how):
    states = TokenStates(pairs)
    for batch in batches(*models, read="all_tokens", **how):
        states.add(batch)
    return list(states.rows(measures))


@pytest.mark.parametrize("size", [1, 3, 20])
def test_the_number_is_the_accumulators_however_texts_come(size):
    lengths = [1, 4, 2, 7, 3, 5, 2, 6, 1, 3]
    X, Y = _texts(0, lengths), _texts(1, lengths)
    for row in _rows(X, Y, size=size):
        sums = TokenPairSums(5, 5, dtype=np.float64)
        sums.update(X[row.state], Y[row.state])
        assert row.value == pytest.approx(sums.debiased_linear_cka(), abs=1e-6)
        assert (row.pooling, row.num_examples, row.ci_low) == ("all_tokens", 10, None)
        assert "few examples" in row.note


def test_of_one_token_each_it_is_the_plain_debiased_cka():
    X = some_states(0)
    Y = moved(X, 1.0)
    alone = [{name: [row[None] for row in rows] for name, rows in states.items()} for states in (X, Y)]
    for row in _rows(*alone):
        assert row.value == pytest.approx(debiased_linear_cka(X[row.state], Y[row.state]), abs=1e-6)


def test_a_base_shared_by_two_pairs_gives_each_pair_its_own_number():
    lengths = [2, 5, 3, 4, 6, 2]
    X, Y, Z = (_texts(seed, lengths) for seed in range(3))
    both = _rows(X, Y, Z, pairs=(Pair(compared="a"), Pair(compared="b", other=2)))
    for compared, other in (("a", Y), ("b", Z)):
        alone = {row.state: row.value for row in _rows(X, other)}
        assert {row.state: row.value for row in both if row.compared == compared} == pytest.approx(alone, abs=1e-12)


def test_other_measures_say_that_they_need_pooled_states():
    lengths = [2, 5, 3, 4]
    rows = _rows(_texts(0, lengths), _texts(1, lengths), measures=("cosine", "mutual_knn"))
    assert len(rows) == 4
    assert all(row.value is None for row in rows)
    assert rows[0].note == "cosine needs pooled states, one vector per text: not of all_tokens"


def test_tokens_that_are_all_alike_and_too_few_texts_are_told():
    lengths = [2, 3, 4, 2]
    X, Y = _texts(0, lengths), _texts(1, lengths)
    X["block_01"] = [np.ones_like(rows) for rows in X["block_01"]]
    first, second = _rows(X, Y)
    assert first.value is None
    assert "base model's states are the same" in first.note
    assert second.value is not None
    (row, _) = _rows(_texts(0, [2, 3]), _texts(1, [2, 3]))
    assert row.value is None
    assert "needs at least 4 sequences, got 2" in row.note


def test_pooled_states_are_left_alone():
    states = TokenStates([Pair(compared="tuned")])
    for batch in batches(some_states(0), some_states(1), read="mean"):
        states.add(batch)
    assert list(states.rows((CKA,))) == []
