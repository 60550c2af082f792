"""The same whole texts are held, whatever the batches and their order, and never more of them than the bound."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from drift_states import batches, some_states
from tunescope.drift.sequence_sample import MOST_SEQUENCES, SequenceSample, _rank, token_limit
from tunescope.representations.side_by_side import StateBatch

KEY = ("block_01", "all_tokens")


def _texts(n=200, d=3, longest=9, seed=0):
    """Each token says which text it is of."""
    lengths = np.random.default_rng(seed).integers(1, longest + 1, size=n)
    return {"block_01": [np.full((T, d), place, dtype=np.float32) for place, T in enumerate(lengths)]}


def _sample(*models, most_sequences=None, most_tokens=None, **how):
    sample = SequenceSample(most_sequences=most_sequences, most_tokens=most_tokens)
    for batch in batches(*models, read="all_tokens", **how):
        sample.add(batch)
    return sample


def _places(sample, model=0):
    return [int(states[0, 0]) for states in sample.of(model, *KEY)]


def test_all_are_held_whole_and_in_their_order_where_there_is_room():
    X = _texts()
    Y = {"block_01": [-rows for rows in X["block_01"]]}
    sample = _sample(X, Y)
    for held, given in zip(sample.of(0, *KEY), X["block_01"], strict=True):
        np.testing.assert_array_equal(held, given)
    for held, given in zip(sample.of(1, *KEY), Y["block_01"], strict=True):
        np.testing.assert_array_equal(held, given)


@pytest.mark.parametrize(
    "bound", [{"most_sequences": 30}, {"most_tokens": 100}, {"most_sequences": 30, "most_tokens": 150}]
)
@pytest.mark.parametrize("size,order", [(200, 0), (7, 1), (1, 2), (1, 3)])
def test_the_sample_is_the_beginning_of_one_order_whatever_the_batches(bound, size, order):
    X = _texts()
    tokens, expected = 0, []
    for place in sorted(range(200), key=_rank):
        tokens += len(X["block_01"][place])
        if len(expected) == bound.get("most_sequences", 200) or tokens > bound.get("most_tokens", 10_000):
            break
        expected.append(place)
    assert 10 < len(expected) < 60
    assert _places(_sample(X, X, **bound, size=size, order_seed=order)) == sorted(expected)


def test_it_leans_to_neither_end():
    X = {"block_01": [np.full((1, 1), place, dtype=np.float32) for place in range(3000)]}
    places = _places(_sample(X, most_sequences=1000))
    assert abs(np.mean(places) - 1499.5) < 3 * 866 * np.sqrt(2 / 3 / 1000)


def test_a_bound_by_tokens_hardly_leans_to_short_texts():
    """A longer text is likelier the one that no longer fits: less than one text's weight."""
    X = _texts(n=400)
    sizes = []
    for seed in range(200):
        order = np.random.default_rng(seed).permutation(400)
        sample = _sample({"block_01": [X["block_01"][place] for place in order]}, most_tokens=200, size=400)
        sizes.append(np.mean([len(states) for states in sample.of(0, *KEY)]))
    everyone = np.mean([len(states) for states in X["block_01"]])
    assert abs(np.mean(sizes) - everyone) < everyone / 40  # of 40 texts each


def test_the_bound_is_256_texts_and_16_mib_or_8_d_squared_bytes():
    assert MOST_SEQUENCES == 256
    assert [token_limit(d) * d * 4 / 2**20 for d in (256, 1024, 2048, 4096)] == [16.0, 16.0, 32.0, 128.0]
    assert len(_places(_sample(_texts(n=600)))) == 256
    wide = _texts(n=300, d=1024, longest=60)
    for narrower in ({"block_00": [rows[:, :2] for rows in wide["block_01"]]}, {}):  # the widest state counts
        sample = _sample(narrower | wide)
        assert 100 < len(_places(sample)) < 160
        assert sum(len(states) for states in sample.of(0, *KEY)) <= token_limit(1024) == 4096
        assert 15 * 2**20 < sample.num_bytes <= 16 * 2**20 + 4096 * 2 * 4 * bool(narrower)


def test_memory_does_not_grow_with_the_number_of_texts():
    """States of one batch at once; a batch's memory is given back though parts of it are held."""

    def peak(n):
        rng = np.random.default_rng(0)
        sample = SequenceSample(most_tokens=500)
        tracemalloc.start()
        for start in range(0, n, 20):
            whole = rng.normal(size=(20, 25, 64)).astype(np.float32)  # texts are views of it
            sample.add(StateBatch(places=np.arange(start, start + 20), states=({KEY: list(whole)},) * 2))
            assert sample.num_bytes <= 2 * 500 * 64 * 4
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    few, many = peak(100), peak(4000)
    assert many < 1.1 * few
    assert 2 * 500 * 64 * 4 < many < 4 * 500 * 64 * 4 + 8 * 20 * 25 * 64 * 4  # the held, and a batch


def test_a_text_longer_than_the_bound_ends_the_sample():
    X = _texts(n=40)
    first = min(range(40), key=_rank)
    X["block_01"][first] = np.zeros((101, 3), dtype=np.float32)
    for order in range(4):
        assert _places(_sample(X, most_tokens=100, size=3, order_seed=order)) == []


def test_pooled_states_are_left_alone():
    sample = SequenceSample()
    for batch in batches(some_states(0), read="mean"):
        sample.add(batch)
    assert sample.num_bytes == 0
    assert sample.of(0, "block_01", "mean") == []
