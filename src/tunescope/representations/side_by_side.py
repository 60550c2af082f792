"""Several models and the same examples -> their hidden states batch by batch; no more than one batch is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tunescope.errors import DataError, RunError
from tunescope.inference.batches import autocast, evaluation_batches, network_inputs
from tunescope.models.network import Network
from tunescope.representations.reads import Read, pool, tokens_of
from tunescope.representations.states import StateReader, backbone_of
from tunescope.tasks.encoded import Encoded


@dataclass(frozen=True, kw_only=True, eq=False)
class StateBatch:
    """What some models made of the same examples."""

    places: np.ndarray
    """(b,) int64, which of the examples the batch's rows are."""
    states: tuple[dict[tuple[str, Read], np.ndarray | list[np.ndarray]], ...]
    """Per model, in the order given: (state, read) -> (b, d) float32; `all_tokens`: b arrays (tokens of the example, d)."""


def paired_states(
    models: Sequence[nn.Module],
    network: Network,
    encoded: Encoded,
    *,
    reads: Sequence[Read],
    batch_tokens: int,
    precision: str = "fp32",
    ids: Sequence[str] | None = None,
) -> Iterator[StateBatch]:
    """Reads models side by side over the same batches, in evaluation mode and without gradients.

    A question whose context is cut into windows is represented by its first window. In fp32, batch size, order and
    padding move a value by rounding alone, 1e-5 of its size or less.

    Args:
        models: One or more; one may be given twice. Their states may differ in number and width.
        network: What they were made from: its tokenizer and kind.
        encoded: The examples' tokens.
        reads: How to read each state.
        batch_tokens: Tokens, padding included, computed at once.
        precision: "fp32", or "bf16" for bf16 matrix products over fp32 weights.
        ids: Names of the examples, for errors; their places where absent.

    Yields:
        Batches, longest examples first; each example is in one of them.

    Raises:
        ModelError: If a model's states cannot be read.
        RunError: If a value that was read is not finite; names model, state and example.
        ValueError: If no model or read is given, `ids` are too few or too many, or two models share one backbone, as a
            PEFT model does with the network that it was put in: there is no base left to compare with. Load it again.
    """
    _, first_rows = np.unique(encoded.example_index, return_index=True)
    if not models or not reads:
        raise ValueError("paired_states: needs one model and one read or more")
    if ids is not None and len(ids) != len(first_rows):
        raise ValueError(f"paired_states: got {len(ids)} ids for {len(first_rows)} examples")
    if len({id(model) for model in models}) != len({id(backbone_of(model)) for model in models}):
        raise ValueError(
            "paired_states: two models share one backbone; a PEFT model changes its base in place. Load the base again."
        )
    return _batches(models, network, encoded, first_rows, tuple(reads), batch_tokens, precision, ids)


def require_same_examples(
    base: Encoded, tuned: Encoded, *, base_ids: Sequence[str], tuned_ids: Sequence[str], where: str
) -> None:
    """Checks that two models would read the same examples as the same tokens, where each has its own tokenizer.

    Args:
        base: The examples' tokens by the base model's tokenizer.
        tuned: The same by the tuned model's.
        base_ids: Names of the examples in `base`.
        tuned_ids: Names of the examples in `tuned`.
        where: What the error begins with.

    Raises:
        DataError: If the examples, their order or any token id differs; names the first.
    """
    if list(base_ids) != list(tuned_ids):
        odd = next(
            (f"'{a}' and '{b}'" for a, b in zip(base_ids, tuned_ids, strict=False) if a != b),
            f"{len(base_ids)} and {len(tuned_ids)} examples",
        )
        raise DataError(
            f"{where}: base and tuned model must read the same examples in the same order, got {odd}. "
            f"Make both from the same rows of the same task."
        )
    for row, (ours, theirs) in enumerate(zip(base.input_ids, tuned.input_ids, strict=False)):
        if list(ours) != list(theirs):
            raise DataError(
                f"{where}: example {base_ids[int(base.example_index[row])]} is other tokens to the tuned model "
                f"({list(theirs)[:8]}...) than to its base ({list(ours)[:8]}...). Use one tokenizer for both."
            )
    if len(base) != len(tuned):
        raise DataError(
            f"{where}: the examples are {len(base)} rows of tokens to the base model and {len(tuned)} to the tuned one. "
            f"Use one tokenizer for both."
        )


def _batches(
    models: Sequence[nn.Module],
    network: Network,
    encoded: Encoded,
    first_rows: np.ndarray,
    reads: tuple[Read, ...],
    batch_tokens: int,
    precision: str,
    ids: Sequence[str] | None,
) -> Iterator[StateBatch]:
    were_training = [model.training for model in models]
    try:
        for model in models:
            model.eval()
        readers = [StateReader(model, is_tried=False) for model in models]
        lengths = encoded.lengths[first_rows]
        for places in evaluation_batches(lengths, batch_tokens):
            states = []
            for number, reader in enumerate(readers, start=1):
                device = next(reader.model.parameters()).device
                batch = network_inputs(encoded, first_rows[places], network, device)
                read = _read(reader, batch, reads, precision)
                _require_finite(
                    read, places, ids, f"model {number} of {len(models)}" if len(models) > 1 else "the model"
                )
                states.append(read)
            yield StateBatch(places=places.astype(np.int64), states=tuple(states))
    finally:
        for model, was_training in zip(models, were_training, strict=True):
            model.train(was_training)


def _read(
    reader: StateReader, batch: dict[str, Tensor], reads: tuple[Read, ...], precision: str
) -> dict[tuple[str, Read], np.ndarray | list[np.ndarray]]:
    def keep(hidden: Tensor, mask: Tensor) -> dict[Read, Tensor | list[np.ndarray]]:
        # Pooled rows stay where they are until the pass is over: fetching each would hold a GPU up at every block.
        return {
            how: [_fetched(one) for one in tokens_of(hidden, mask)] if how == "all_tokens" else pool(hidden, mask, how)
            for how in reads
        }

    with torch.no_grad(), autocast(next(reader.model.parameters()).device, precision):
        kept = reader.read(batch, keep)
    return {
        (state, how): _fetched(value) if isinstance(value, Tensor) else value
        for state, by_read in kept.items()
        for how, value in by_read.items()
    }


def _fetched(values: Tensor) -> np.ndarray:
    return np.asarray(values.cpu().numpy())


def _require_finite(
    states: dict[tuple[str, Read], np.ndarray | list[np.ndarray]],
    places: np.ndarray,
    ids: Sequence[str] | None,
    whose: str,
) -> None:
    for (state, how), values in states.items():
        if isinstance(values, np.ndarray) and np.isfinite(values).all():
            continue
        for place, row in zip(places.tolist(), values, strict=True):
            if not np.isfinite(row).all():
                example = place if ids is None else ids[place]
                raise RunError(
                    f"hidden state {state} ({how}) of {whose} is not finite for example {example}; its weights are "
                    f"broken, or overflow in this precision"
                )
