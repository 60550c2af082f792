"""Batches hold every token once, masked and numbered, whichever side is padded."""

from __future__ import annotations

import pytest
import torch

from tunescope.models.padding import pad_batch, positions_of


def test_right() -> None:
    batch = pad_batch([[5, 6, 7], [8]], 0, is_decoder=True)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["position_ids"].tolist() == [[0, 1, 2], [0, 0, 0]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_left() -> None:
    batch = pad_batch([[5, 6, 7], [8, 9]], 3, is_decoder=True, side="left")
    assert batch["input_ids"].tolist() == [[5, 6, 7], [3, 8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 1, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2], [0, 0, 1]]


def test_encoders_get_segments_and_no_positions() -> None:
    batch = pad_batch([[5, 6], [7]], 0, is_decoder=False, token_types=[[0, 1], [1]])
    assert batch["token_type_ids"].tolist() == [[0, 1], [1, 0]]
    assert "position_ids" not in batch


def test_positions_of_a_text_that_holds_the_pad_id_go_by_the_mask() -> None:
    assert positions_of(torch.tensor([[0, 1, 1, 1]])).tolist() == [[0, 0, 1, 2]]


@pytest.mark.parametrize("rows", [[], [[1], []]])
def test_nothing_to_pad(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="none of them empty"):
        pad_batch(rows, 0, is_decoder=True)


def test_segments_must_match() -> None:
    with pytest.raises(ValueError, match="as many and as long"):
        pad_batch([[1, 2]], 0, is_decoder=False, token_types=[[0]])
