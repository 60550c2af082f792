"""Which part of a Hugging Face model is the task's head: all that is not the pretrained backbone."""

from __future__ import annotations

from typing import Any


def head_modules(model: Any) -> tuple[str, ...]:
    """Names of the model's direct children that belong to the head and hold parameters, in their order.

    Args:
        model: A Hugging Face model with a head, not yet wrapped by peft.

    Returns:
        Such as `("score",)` or `("pre_classifier", "classifier")`.
    """
    return tuple(
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    )


def head_parameters(model: Any) -> tuple[str, ...]:
    """Names of the head's parameters, such as `("score.weight",)`."""
    prefixes = tuple(f"{name}." for name in head_modules(model))
    return tuple(name for name, _ in model.named_parameters() if name.startswith(prefixes))
