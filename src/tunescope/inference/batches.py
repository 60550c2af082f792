"""Encoded rows -> the tensors a network reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import numpy as np
import torch

from tunescope.models.network import Network
from tunescope.models.padding import pad_batch
from tunescope.tasks.encode import Encoded


def network_inputs(
    encoded: Encoded, rows: np.ndarray, network: Network, device: torch.device
) -> dict[str, torch.Tensor]:
    """The keyword arguments of the network's forward pass for some rows, padded to the longest of them."""
    ids = [encoded.input_ids[row] for row in rows]
    types = None if encoded.token_types is None else [encoded.token_types[row] for row in rows]
    pad_id = network.tokenizer.pad_token_id
    assert isinstance(pad_id, int), "load_tokenizer sets one"
    batch = pad_batch(ids, pad_id, is_decoder=network.is_decoder, token_types=types)
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def evaluation_batches(lengths: np.ndarray, max_tokens: int) -> Iterator[np.ndarray]:
    """All rows, longest first, in batches that pad to at most `max_tokens` tokens (one longer row is a batch)."""
    order = np.argsort(lengths, kind="stable")[::-1]
    start = 0
    while start < len(order):
        size = max(1, max_tokens // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """bf16 matrix products over fp32 weights where `precision` is "bf16"; nothing where it is "fp32"."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
