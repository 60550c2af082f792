"""A run's state in one file: written whole or not at all, read back to the last bit."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

_NAME = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path,
    *,
    model: nn.Module,
    optimiser: torch.optim.AdamW,
    best: Mapping[str, torch.Tensor],
    progress: Mapping[str, Any],
) -> None:
    """Writes trainable tensors, AdamW's moments, the best weights so far and the progress counters, then renames.

    Random state needs no place: data order and dropout follow from seed and step.
    """
    tensors: dict[str, torch.Tensor] = {f"best/{name}": tensor for name, tensor in best.items()}
    for name, parameter in trainable(model).items():
        tensors[f"weight/{name}"] = parameter.detach()
        for part, value in optimiser.state[parameter].items():
            tensors[f"{part}/{name}"] = value
    temporary = folder / f"{_NAME}.tmp"
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        temporary,
        {"progress": json.dumps(dict(progress))},
    )
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(folder / _NAME)


def load_checkpoint(
    folder: Path, *, model: nn.Module, optimiser: torch.optim.AdamW
) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
    """Puts a checkpoint into model and optimiser; None where there is none that can be read.

    Returns:
        The progress counters and the best weights, as `save_checkpoint` was given them.
    """
    path = folder / _NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            progress: dict[str, Any] = json.loads(file.metadata()["progress"])
    except SafetensorError:
        return None  # the run starts over, to the same result
    parameters = trainable(model)
    best: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for key, tensor in tensors.items():
            part, _, name = key.partition("/")
            if part == "best":
                best[name] = tensor
            elif part == "weight":
                parameters[name].copy_(tensor)
            else:
                on_cpu = part == "step" and not optimiser.defaults["fused"]
                optimiser.state[parameters[name]][part] = tensor if on_cpu else tensor.to(parameters[name].device)
    return progress, best


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors that training changes, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
