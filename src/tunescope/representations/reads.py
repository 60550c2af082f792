"""(n, seq, d) hidden states -> one vector per example, or one per token; padding never counts."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["last_token", "mean", "first_token"]
"""One vector per example."""
Read = Literal["last_token", "mean", "first_token", "all_tokens"]
"""How an example's hidden states are read; `all_tokens` keeps one vector per token."""


def pool(hidden_NSD: Tensor, mask_NS: Tensor, how: Pooling) -> Tensor:
    """One vector per example.

    Args:
        hidden_NSD: Hidden states of one layer, any float dtype.
        mask_NS: Not 0 where a token is, 0 where padding is; on either side, one token or more in each row.
        how: `last_token` or `first_token` of the attended ones, or their `mean`, summed in float32.

    Returns:
        (n, d) float32.
    """
    is_token = mask_NS != 0
    if how == "mean":
        real = hidden_NSD.masked_fill(~is_token[:, :, None], 0.0)  # not times 0: padding may hold inf or NaN
        return real.sum(dim=1, dtype=torch.float32) / is_token.sum(dim=1, keepdim=True)
    places = torch.arange(mask_NS.shape[1], device=mask_NS.device).expand_as(mask_NS)
    if how == "last_token":
        picked = places.masked_fill(~is_token, -1).argmax(dim=1)
    else:
        picked = places.masked_fill(~is_token, mask_NS.shape[1]).argmin(dim=1)
    return hidden_NSD[torch.arange(len(hidden_NSD), device=hidden_NSD.device), picked].float()


def tokens_of(hidden_NSD: Tensor, mask_NS: Tensor) -> list[Tensor]:
    """Every attended token's vector, example by example: n tensors (tokens of the example, d), float32, on the CPU.

    Args:
        hidden_NSD: Hidden states of one layer, any float dtype.
        mask_NS: Not 0 where a token is, 0 where padding is; on either side.
    """
    is_token = mask_NS != 0
    flat = hidden_NSD[is_token].float().cpu()  # fetched in one piece
    return list(torch.split(flat, is_token.sum(dim=1).tolist()))
