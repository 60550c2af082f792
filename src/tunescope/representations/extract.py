"""A network and rows -> pooled hidden states of the embeddings, of every block and of the final norm, to be kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from tunescope.models.network import Network
from tunescope.representations.reads import Pooling
from tunescope.representations.side_by_side import paired_states
from tunescope.tasks.encoded import Encoded


def extract(
    model: nn.Module,
    network: Network,
    encoded: Encoded,
    *,
    how: Sequence[Pooling],
    batch_tokens: int,
    ids: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Pooled hidden states of all examples, in fp32.

    Args:
        model: What is read; `network.model` or a tuned one.
        network: What it was made from.
        encoded: The examples' tokens.
        how: Ways to pool.
        batch_tokens: Tokens, padding included, computed at once.
        ids: Names of the examples, for errors.

    Returns:
        `embeddings/last_token`, `block_01/last_token` and so on -> (n, d) float32, rows in the examples' order.

    Raises:
        ModelError: If the model's states cannot be read.
        RunError: If a hidden state is not finite; names state and example.
    """
    num_examples = len(np.unique(encoded.example_index))
    kept: dict[str, np.ndarray] = {}
    for batch in paired_states([model], network, encoded, reads=how, batch_tokens=batch_tokens, ids=ids):
        for (state, one), values in batch.states[0].items():
            assert isinstance(values, np.ndarray), "poolings give arrays"
            name = f"{state}/{one}"
            if name not in kept:
                kept[name] = np.empty((num_examples, values.shape[1]), dtype=np.float32)
            kept[name][batch.places] = values
    return kept
