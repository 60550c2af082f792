"""A run's one number: blocks alone, of one pooling and one comparison."""

from __future__ import annotations

import pytest

from tunescope.drift.row import layer_row
from tunescope.drift.summary import mean_drift


def _row(state, value, *, compared="tuned", pooling="mean", measure="debiased_linear_cka", other=None):
    return layer_row(compared, state, pooling, measure, other_state=other, num_examples=9, value=value)


ROWS = [
    _row("embeddings", 0.1),
    _row("block_01", 0.9),
    _row("block_02", 0.7),
    _row("final_norm", 0.2),
    _row("block_01", 0.0, compared="seeds"),
    _row("block_01", 0.0, pooling="last_token"),
    _row("block_01", 0.0, measure="cosine"),
    _row("block_01", 0.0, measure="layer_pairs", other="block_02"),
]


def test_it_is_one_minus_the_mean_over_blocks():
    assert mean_drift(ROWS, "tuned", "mean") == pytest.approx(0.2)
    assert mean_drift(ROWS, "seeds", "mean") == 1.0


def test_a_block_without_a_value_leaves_none_and_so_do_no_rows():
    assert mean_drift([*ROWS, _row("block_03", None)], "tuned", "mean") is None
    assert mean_drift([*ROWS, _row("final_norm", None)], "tuned", "mean") == pytest.approx(0.2)
    assert mean_drift(ROWS, "tuned", "first_token") is None


def test_a_negative_cka_is_not_cut():
    assert mean_drift([_row("block_01", -0.1)], "tuned", "mean") == pytest.approx(1.1)
