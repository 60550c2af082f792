"""How many parameters a model has, and how many of them a method trains, module by module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunescope.methods.head import head_modules

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class ParameterCounts:
    """Numbers of scalar parameters; tied weights count once."""

    backbone: int
    """Of the pretrained part."""
    head: int
    """Of the task's head, once: the untrained copy that peft keeps of it does not count."""
    adapter: int
    """That the method added, the head aside; 0 for `full` and `head_only`."""
    trainable: int
    """That get gradients: head, adapter and what the method trains of the backbone."""
    total: int
    """Backbone, head and adapter."""
    num_adapter_modules: int
    """Modules of the base model that hold adapter parameters."""
    per_module: Mapping[str, int]
    """Module of the base model, by its name there, to its trainable parameters; untrained modules are left out."""


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Counts the parameters of a model before or after a method was applied; works on the meta device.

    Args:
        model: A Hugging Face model with a head, plain or wrapped by peft.
    """
    wrapped: Any = model
    is_peft = hasattr(wrapped, "get_base_model")
    base: Any = wrapped.get_base_model() if is_peft else wrapped
    heads = set(head_modules(base))
    marker = _adapter_marker(wrapped) if is_peft else None
    outer = "" if base is wrapped else "base_model." if base is wrapped.base_model else "base_model.model."

    parts: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    adapted = set()
    for name, weight in wrapped.named_parameters():
        pieces = name.removeprefix(outer).split(".")
        if "original_module" in pieces:
            continue
        start = _first(pieces, marker)
        if start is not None:
            part, module = "adapter", ".".join(pieces[:start])
            if name.startswith(outer):  # not what all modules share, such as a vector bank
                adapted.add(module)
        else:
            pieces = [piece for piece in pieces[:-1] if piece != "base_layer"]
            if "modules_to_save" in pieces:
                at = pieces.index("modules_to_save")
                pieces = pieces[:at] + pieces[at + 2 :]
            part, module = ("head" if pieces and pieces[0] in heads else "backbone"), ".".join(pieces)
        parts[part] += weight.numel()
        if weight.requires_grad:
            trained[module] += weight.numel()
    return ParameterCounts(
        backbone=parts["backbone"],
        head=parts["head"],
        adapter=parts["adapter"],
        trainable=trained.total(),
        total=parts.total(),
        num_adapter_modules=len(adapted),
        per_module=dict(trained),
    )


def _adapter_marker(peft_model: Any) -> str:
    """How the names of the active method's own parameters start, such as `lora_`."""
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

    config = peft_model.active_peft_config
    return "prompt_encoder" if config.is_prompt_learning else str(PEFT_TYPE_TO_PREFIX_MAPPING[config.peft_type])


def _first(pieces: list[str], marker: str | None) -> int | None:
    if marker is None:
        return None
    return next((place for place, piece in enumerate(pieces) if piece.startswith(marker)), None)
