"""Rows of token ids of different length become one batch of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


def pad_batch(
    rows: Sequence[Sequence[int]],
    pad_id: int,
    *,
    is_decoder: bool,
    side: Literal["left", "right"] = "right",
    token_types: Sequence[Sequence[int]] | None = None,
) -> dict[str, Tensor]:
    """Pads rows to the length of the longest of them.

    A decoder gets `position_ids` counted over the attended tokens, so that left padding does not shift the positions
    of models that learned them (GPT-2). Pad positions get a position too, one that exists; nothing attends to it.

    Args:
        rows: n rows of token ids, each of length 1 or more.
        pad_id: Id to fill up with; masked, so its value never bears on a network from `load_network`.
        is_decoder: Whether attention is causal; adds `position_ids`.
        side: Where the padding goes.
        token_types: n rows of segment ids, each as long as its row; adds `token_type_ids`, 0 where padded.

    Returns:
        `input_ids`, `attention_mask` (1 attended, 0 padding), and where asked `position_ids` and `token_type_ids`;
        all int64 of shape (n, length of the longest row).

    Raises:
        ValueError: If there is no row, a row is empty, or token_types do not match the rows.
    """
    import torch

    if not rows or any(len(row) == 0 for row in rows):
        raise ValueError("pad_batch: needs one row or more, none of them empty")
    if token_types is not None and [len(types) for types in token_types] != [len(row) for row in rows]:
        raise ValueError("pad_batch: token_types must be as many and as long as rows")
    width = max(len(row) for row in rows)

    def filled(values: Sequence[Sequence[int]], fill: int) -> Tensor:
        gaps = [[fill] * (width - len(row)) for row in values]
        padded = zip(values, gaps, strict=True)
        if side == "left":
            return torch.tensor([gap + list(row) for row, gap in padded], dtype=torch.int64)
        return torch.tensor([list(row) + gap for row, gap in padded], dtype=torch.int64)

    batch = {"input_ids": filled(rows, pad_id), "attention_mask": filled([[1] * len(row) for row in rows], 0)}
    if is_decoder:
        batch["position_ids"] = positions_of(batch["attention_mask"])
    if token_types is not None:
        batch["token_type_ids"] = filled(token_types, 0)
    return batch


def positions_of(attention_mask: Tensor) -> Tensor:
    """Each token's position among the attended tokens of its row.

    Args:
        attention_mask: (n, length), 1 attended, 0 padding.

    Returns:
        (n, length) int64: 0, 1, 2, ... over the attended tokens; padding has its left neighbour's position, or 0.
    """
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
