"""Architecture and examples -> bytes of the hidden states that a study keeps, before there are any."""

from __future__ import annotations

from tunescope.cost.architecture import Architecture

_GIB = 2.0**30
BYTES_PER_TENSOR = 100
"""Of a safetensors file's header, for each of its tensors."""
_WITHOUT_FINAL_NORM = ("bert", "roberta", "distilbert")
"""Known model types that end on their last block."""


def kept_states_gib(architecture: Architecture, *, num_examples: int, num_poolings: int) -> float:
    """Disk for pooled hidden states of one model: n x d x states x poolings float32, and the file's header.

    Args:
        architecture: The model's.
        num_examples: n.
        num_poolings: Ways to pool that are kept; states of single tokens never are.
    """
    each = 4.0 * num_examples * architecture.hidden + BYTES_PER_TENSOR
    return each * num_states(architecture) * num_poolings / _GIB


def num_states(architecture: Architecture) -> int:
    """Hidden states of a model: embeddings, every block's and, in decoders of the known types, the final norm's."""
    return architecture.layers + (1 if architecture.model_type in _WITHOUT_FINAL_NORM else 2)
