"""Encoded rows -> the tensors a network reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np
import torch

from tunescope.inference.out_of_memory import TokensAtOnce, first_line, give_back_memory, is_out_of_memory
from tunescope.models.network import Network
from tunescope.models.padding import pad_batch
from tunescope.tasks.encode import Encoded

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


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


def computed_in_batches(
    lengths: np.ndarray, batch_tokens: int | TokensAtOnce, compute: Callable[[np.ndarray], _T]
) -> Iterator[tuple[np.ndarray, _T]]:
    """Computes all rows in the batches of `evaluation_batches`; where one does not fit in memory, goes on in smaller ones.

    Args:
        lengths: (n,) tokens of every row.
        batch_tokens: Tokens, padding included, computed at once. A `TokensAtOnce` is lowered in place where they do not
            fit, so that who keeps it begins with fewer next time.
        compute: Rows -> what comes of them. Called again with fewer of the same rows if it ran out of memory.

    Yields:
        Rows and what came of them.

    Raises:
        MemoryError, RuntimeError: Of `compute`; also if a single row does not fit.
    """
    at_once = TokensAtOnce(batch_tokens) if isinstance(batch_tokens, int) else batch_tokens
    order = np.argsort(lengths, kind="stable")[::-1]
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        rows = order[start : start + at_once.num_rows(longest)]
        try:
            result = compute(rows)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or not at_once.lower(len(rows), len(rows) * longest):
                raise
            _LOG.warning(
                "%s (%s)", at_once.told(at=f"at {len(rows)} rows of up to {longest} tokens"), first_line(error)
            )
        else:
            yield rows, result
            start += len(rows)
            continue
        give_back_memory()  # here the error is gone, and with it the tensors that its traceback held


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """bf16 matrix products over fp32 weights where `precision` is "bf16"; nothing where it is "fp32"."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
