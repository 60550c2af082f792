"""Gradient checkpointing: activations are computed again in the backward pass instead of being kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunescope.errors import ModelError

if TYPE_CHECKING:
    from torch import nn


_IN_THE_CACHE = ("PREFIX_TUNING", "CARTRIDGE")


def enable_checkpointing(model: nn.Module) -> None:
    """Turns gradient checkpointing on, for a plain or a peft-wrapped model, without cutting frozen parts off.

    The older, re-entrant form finds no input that needs a gradient where embeddings are frozen, and silently gives
    adapters none. This is the other form (`use_reentrant=False`), which goes by the weights; so embeddings are not
    made to need gradients either, and `head_only` does not run backward through its backbone. It acts in training
    mode only.

    Args:
        model: What a method's `apply` gave.

    Raises:
        ModelError: If the architecture does not support it, or the method keeps what it learns in the key/value cache,
            which checkpointed layers do without.
    """
    outer: Any = model
    inner = outer.get_base_model() if hasattr(outer, "get_base_model") else outer
    method = outer.active_peft_config.peft_type.value if inner is not outer else ""
    if method in _IN_THE_CACHE:
        raise ModelError(
            f"{method} works through the key/value cache, which checkpointed layers do without, so it would not learn. "
            f"Leave gradient_checkpointing off for it."
        )
    if not getattr(inner, "supports_gradient_checkpointing", False):
        raise ModelError(
            f"{type(inner).__name__} does not support gradient checkpointing. Leave gradient_checkpointing off for it."
        )
    if hasattr(inner, "activation_checkpointing_enable"):
        inner.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    else:  # transformers before 5.20 or so
        inner.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    inner.disable_input_require_grads()
