"""A network and rows -> pooled hidden states of the embeddings and of every block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tunescope.errors import RunError
from tunescope.inference.batches import evaluation_batches, network_inputs
from tunescope.models.network import Network
from tunescope.representations.pooling import Pooling, pool
from tunescope.tasks.encoded import Encoded


def extract(
    model: nn.Module, network: Network, encoded: Encoded, *, how: Sequence[Pooling], batch_tokens: int
) -> dict[str, torch.Tensor]:
    """Pooled hidden states as Hugging Face's `hidden_states` lists them: layer 0 the embeddings, then every block; for
    most architectures the last entry is after the final norm.

    A question whose context is cut into windows is represented by its first window.

    Returns:
        `layer_00/last_token` and so on -> (n, d) float32, rows in the examples' order.

    Raises:
        RunError: If a hidden state is not finite; names layer and row.
    """
    device = next(model.parameters()).device
    _, first_rows = np.unique(encoded.example_index, return_index=True)
    lengths = np.array([len(encoded.input_ids[row]) for row in first_rows])
    states: dict[str, torch.Tensor] = {}
    model.eval()
    with torch.no_grad():
        for places in evaluation_batches(lengths, batch_tokens):
            batch = network_inputs(encoded, first_rows[places], network, device)
            layers = model(**batch, output_hidden_states=True).hidden_states
            for layer, hidden in enumerate(layers):
                for one in how:
                    name = f"layer_{layer:02d}/{one}"
                    pooled = pool(hidden, batch["attention_mask"], one).cpu()
                    if not bool(torch.isfinite(pooled).all()):
                        raise RunError(
                            f"hidden states of layer {layer} are not finite for one of rows {places.tolist()[:5]}..."
                        )
                    rows = states.setdefault(name, torch.empty(len(lengths), pooled.shape[1]))
                    rows[torch.from_numpy(places.copy())] = pooled
    return states
