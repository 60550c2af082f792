"""A network and rows -> one vector per example of the state that a task's head reads: the last one there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from tunescope.models.network import Network
from tunescope.representations.reads import Pooling
from tunescope.representations.side_by_side import paired_states
from tunescope.tasks.encoded import Encoded


def last_state(
    model: nn.Module,
    network: Network,
    encoded: Encoded,
    *,
    how: Pooling,
    batch_tokens: int,
    ids: Sequence[str] | None = None,
) -> tuple[str, np.ndarray]:
    """Pooled states of all examples after the last block, behind the norm that follows it where there is one, in fp32.

    Of a decoder that is what its classifier reads (pooled by `last_token`), of an encoder what its classifier or its pooler
    reads (`first_token`): a BERT's pooler itself is no part of it.

    Args:
        model: What is read; `network.model` or a tuned one.
        network: What it was made from.
        encoded: The examples' tokens.
        how: The way to pool.
        batch_tokens: Tokens, padding included, computed at once.
        ids: Names of the examples, for errors.

    Returns:
        The state's name, `final_norm` or `block_NN`, and (n, d) float32, rows in the examples' order.

    Raises:
        ModelError: If the model's states cannot be read.
        RunError: If a hidden state is not finite; names state and example.
    """
    num_examples = len(np.unique(encoded.example_index))
    name, kept = "", np.empty((0, 0), dtype=np.float32)
    for batch in paired_states([model], network, encoded, reads=(how,), batch_tokens=batch_tokens, ids=ids):
        (name, _), values = list(batch.states[0].items())[-1]  # from the model's input to its output
        assert isinstance(values, np.ndarray), "poolings give arrays"
        if not len(kept):
            kept = np.empty((num_examples, values.shape[1]), dtype=np.float32)
        kept[batch.places] = values
    return name, kept
