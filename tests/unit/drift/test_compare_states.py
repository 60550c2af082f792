"""Few examples are held, many are summed, and what cannot be compared is refused before there is a number."""

from __future__ import annotations

import numpy as np
import pytest

from drift_states import batches, moved, some_states
from tunescope.drift import compare_states as module
from tunescope.drift.compare_states import compare_states, held_limit
from tunescope.drift.pair import Pair
from tunescope.drift.row import LAYER_PAIRS
from tunescope.errors import DataError, ModelError

PAIR = [Pair(compared="tuned")]


def _compared(*models, n=40, d=6, read="mean", layer_pairs=False, measures=("debiased_linear_cka", "mutual_knn")):
    return compare_states(
        batches(*models, read=read), PAIR, num_examples=n, num_features=d, measures=measures, layer_pairs=layer_pairs
    )


def test_as_many_are_held_as_there_are_features_and_2048_at_least():
    assert [held_limit(d) for d in (32, 2048, 4096)] == [2048, 2048, 4096]


def test_held_and_summed_agree_and_summed_says_what_it_lacks(monkeypatch):
    X = some_states(0)
    Y = moved(X, 0.3)
    held = _compared(X, Y, layer_pairs=True)
    monkeypatch.setattr(module, "_HELD_AT_LEAST", 10)
    summed = {(row.state, row.other_state, row.measure): row for row in _compared(X, Y, layer_pairs=True)}
    assert len(summed) == len(held)
    for row in held:
        other = summed[row.state, row.other_state, row.measure]
        assert row.value is not None
        if row.measure == "debiased_linear_cka":
            assert other.value == pytest.approx(row.value, abs=1e-7)
        else:
            assert other.value is None
            assert "more than are held" in other.note


def test_tokens_stand_beside_pooled_states():
    X, Y = some_states(0), some_states(1)

    def both(states):
        return {name: [row[None] for row in rows] for name, rows in states.items()}

    def joined():
        for pooled, single in zip(batches(X, Y), batches(both(X), both(Y), read="all_tokens"), strict=True):
            states = tuple(a | b for a, b in zip(pooled.states, single.states, strict=True))
            yield type(pooled)(places=pooled.places, states=states)

    rows = compare_states(joined(), PAIR, num_examples=40, num_features=6, measures=("debiased_linear_cka",))
    assert [row.pooling for row in rows] == ["mean"] * 3 + ["all_tokens"] * 3
    assert [row.value for row in rows[3:]] == pytest.approx([row.value for row in rows[:3]], abs=1e-6)


@pytest.mark.parametrize("n", [0, 3])
def test_fewer_than_four_examples_give_no_number_and_are_not_read(n):
    def unread():
        raise AssertionError("nothing is read")
        yield

    with pytest.raises(DataError, match=rf"needs at least 4 examples for a debiased CKA, got {n}"):
        compare_states(unread(), PAIR, num_examples=n, num_features=6, measures=("cosine",))


def test_models_of_different_depth_have_layer_pairs_or_an_error(monkeypatch):
    X, Y = some_states(0), some_states(1, names=("embeddings", "block_01"))
    assert {row.measure for row in _compared(X, Y, layer_pairs=True)} == {LAYER_PAIRS}
    with pytest.raises(ModelError, match=r"differ in depth \(3 and 2 states\). Ask for layer pairs"):
        _compared(X, Y)
    tokens = [{name: [row[None] for row in rows] for name, rows in states.items()} for states in (X, Y)]
    with pytest.raises(ModelError, match="tokens are compared layer by layer"):
        _compared(*tokens, read="all_tokens", layer_pairs=True)
    monkeypatch.setattr(module, "_HELD_AT_LEAST", 10)
    with pytest.raises(ModelError, match="on 10 examples at most, got 40"):
        _compared(X, Y, layer_pairs=True)


def test_held_states_are_float64_in_every_product():
    X = {"block_01": (np.random.default_rng(0).normal(size=(40, 6)) * 1e-3 + 30.0).astype(np.float32)}
    Y = moved(X, 1e-4)
    (row,) = _compared(X, Y, measures=("debiased_linear_cka",))
    x, y = (rows["block_01"].astype(np.float64) for rows in (X, Y))
    (again,) = _compared({"block_01": x}, {"block_01": y}, measures=("debiased_linear_cka",))
    assert row.value == again.value
