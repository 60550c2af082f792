"""The same examples are held, whatever the batches; of tokens none."""

from __future__ import annotations

import numpy as np
import pytest

from drift_states import batches, moved, some_states
from tunescope.drift.sample import SampledStates


def _of(*models, n=300, m=50, model=0, **how):
    sample = SampledStates(n, m)
    for batch in batches(*models, **how):
        sample.add(batch)
    return sample.of(model, "block_01", "mean")


def test_rows_are_of_the_same_examples_in_every_model_and_in_their_order():
    X = {"block_01": np.arange(300.0)[:, None] * np.ones(3)}
    Y = {"block_01": -X["block_01"]}
    rows, others = _of(X, Y), _of(X, Y, model=1)
    assert rows.shape == (50, 3)
    assert rows.dtype == np.float32
    assert (np.diff(rows[:, 0]) > 0).all()
    np.testing.assert_array_equal(others, -rows)


@pytest.mark.parametrize("size,order", [(300, 0), (7, 1), (1, 2)])
def test_batches_and_their_order_change_nothing(size, order):
    X = some_states(0, n=300)
    Y = moved(X, 0.2)
    np.testing.assert_array_equal(_of(X, Y, size=size, order_seed=order), _of(X, Y))


def test_all_are_held_where_there_are_no_more():
    X = some_states(0)
    np.testing.assert_array_equal(_of(X, n=40, m=50), X["block_01"])


def test_the_sample_leans_to_neither_end():
    X = {"block_01": np.arange(3000.0)[:, None]}
    assert abs(_of(X, n=3000, m=1000).mean() - 1499.5) < 3 * 866 * np.sqrt(2 / 3 / 1000)


def test_states_of_single_tokens_are_not_held():
    tokens = {"block_01": [row[None] for row in some_states(0)["block_01"]]}
    sample = SampledStates(40, 10)
    for batch in batches(tokens, read="all_tokens"):
        sample.add(batch)
    with pytest.raises(KeyError):
        sample.of(0, "block_01", "all_tokens")
