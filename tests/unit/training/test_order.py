"""Which rows a step sees, and that splitting them loses none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunescope.training.order import DataOrder, computed_tokens, epoch_order, micro_batches


def test_every_epoch_deals_every_row_once() -> None:
    order = DataOrder(num_rows=10, batch_size=4, seed=3)
    assert order.steps_per_epoch == 3
    for epoch in range(3):
        dealt = np.concatenate([order.rows(3 * epoch + step) for step in range(3)])
        assert sorted(dealt.tolist()) == list(range(10))


def test_a_step_is_the_same_whichever_came_before() -> None:
    forward = DataOrder(num_rows=23, batch_size=5, seed=1)
    rows = [forward.rows(step).tolist() for step in range(12)]
    for step in reversed(range(12)):
        assert DataOrder(num_rows=23, batch_size=5, seed=1).rows(step).tolist() == rows[step]


def test_seeds_and_epochs_differ() -> None:
    assert epoch_order(50, 1, 0).tolist() != epoch_order(50, 2, 0).tolist()
    assert epoch_order(50, 1, 0).tolist() != epoch_order(50, 1, 1).tolist()


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=40),
    max_tokens=st.integers(1, 1000),
    padding_free=st.booleans(),
)
def test_micro_batches_hold_every_row_once_and_fill_the_budget(
    lengths: list[int], max_tokens: int, padding_free: bool
) -> None:
    sizes = np.array(lengths)
    rows = np.random.default_rng(0).permutation(len(sizes))
    portions = list(micro_batches(rows, sizes, max_tokens, padding_free=padding_free))
    assert sorted(np.concatenate(portions).tolist()) == list(range(len(sizes)))

    def tokens(portion: list[int]) -> int:
        return (
            sum(lengths[row] for row in portion)
            if padding_free
            else len(portion) * max(lengths[row] for row in portion)
        )

    for number, portion in enumerate(part.tolist() for part in portions):
        assert len(portion) == 1 or tokens(portion) <= max_tokens
        assert computed_tokens(portions[number], sizes, padding_free=padding_free) == tokens(portion)
        if number + 1 < len(portions):
            assert tokens([*portion, int(portions[number + 1][0])]) > max_tokens


@pytest.mark.parametrize("max_tokens", [100, 10_000])
def test_like_lengths_go_together(max_tokens: int) -> None:
    sizes = np.array([10, 90, 11, 91, 12, 92])
    portions = list(micro_batches(np.arange(6), sizes, max_tokens))
    flat = sizes[np.concatenate(portions)]
    assert flat.tolist() == sorted(flat.tolist(), reverse=True)
