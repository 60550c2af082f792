"""(n, seq, d) hidden states -> one (n, d) row per example; padding never counts."""

from __future__ import annotations

from typing import Literal

import torch

Pooling = Literal["last_token", "mean", "first_token"]


def pool(hidden_NSD: torch.Tensor, mask_NS: torch.Tensor, how: Pooling) -> torch.Tensor:
    """One vector per example.

    Args:
        hidden_NSD: Hidden states of one layer, any float dtype.
        mask_NS: 1 where a token is, 0 where padding is; on either side.
        how: `last_token` or `first_token` of the attended ones, or their `mean`.

    Returns:
        (n, d) float32.
    """
    hidden = hidden_NSD.float()
    if how == "mean":
        real = hidden.masked_fill((mask_NS == 0)[:, :, None], 0.0)  # not times 0: padding may hold inf or NaN
        return real.sum(dim=1) / mask_NS.sum(dim=1, keepdim=True)
    places = torch.arange(mask_NS.shape[1], device=mask_NS.device).expand_as(mask_NS)
    if how == "last_token":
        picked = places.masked_fill(mask_NS == 0, -1).argmax(dim=1)
    else:
        picked = places.masked_fill(mask_NS == 0, mask_NS.shape[1]).argmin(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), picked]
