"""A run's state in one file: written whole or not at all, read back to the last bit."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from tunescope.errors import BegunOtherwiseError

_NAME = "checkpoint.safetensors"
_FORMAT = "3"
"""Rises when what a run must know to go on changes; a run begun under another starts over."""


class TornCheckpointError(Exception):
    """A checkpoint is there and cannot be read."""


def save_checkpoint(
    folder: Path,
    *,
    model: nn.Module,
    optimiser: torch.optim.AdamW,
    best: Mapping[str, torch.Tensor],
    progress: Mapping[str, Any],
    made_from: Mapping[str, str] | None = None,
) -> None:
    """Writes trainable tensors, AdamW's moments, the best weights so far and the progress counters, then renames.

    Random state needs no place: data order and dropout follow from seed and step.

    Args:
        folder: Where the file goes.
        model: Its trainable tensors are kept.
        optimiser: Its moments are kept.
        best: The best weights so far, by name.
        progress: Counters, as JSON has them.
        made_from: What the run reads, by name, as fingerprints.
    """
    tensors: dict[str, torch.Tensor] = {f"best/{name}": tensor for name, tensor in best.items()}
    for name, parameter in trainable(model).items():
        tensors[f"weight/{name}"] = parameter.detach()
        for part, value in optimiser.state[parameter].items():
            tensors[f"{part}/{name}"] = value
    temporary = folder / f"{_NAME}.tmp"
    try:
        whole = {name: tensor.to("cpu").contiguous() for name, tensor in tensors.items()}
        about = {
            "format": _FORMAT,
            "progress": json.dumps(dict(progress)),
            "made_from": json.dumps(dict(made_from or {})),
        }
        save_file(whole, temporary, about | {"crc32": _checksum(whole, about)})
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(folder / _NAME)
    finally:
        temporary.unlink(missing_ok=True)  # a disk that ran full is not kept full by half a checkpoint


def load_checkpoint(
    folder: Path,
    *,
    model: nn.Module,
    optimiser: torch.optim.AdamW,
    made_from: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
    """Puts a checkpoint into model and optimiser; None where there is none.

    Args:
        folder: Where the file lies.
        model: As the run began it.
        optimiser: Of its trainable tensors.
        made_from: What the run reads now; must be what the checkpoint was made from.

    Returns:
        The progress counters and the best weights, as `save_checkpoint` was given them.

    Raises:
        TornCheckpointError: If there is one that cannot be read.
        BegunOtherwiseError: If the run was begun from something else; model and optimiser are untouched then.
    """
    path = folder / _NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            if metadata.get("format") != _FORMAT:
                raise TornCheckpointError(f"{path} is of another version of tunescope")
            progress: dict[str, Any] = json.loads(metadata["progress"])
            begun_from: dict[str, str] = json.loads(metadata["made_from"])
            # Cloned: else the moments would be views of the file, and its space not free once it is replaced.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
            if metadata.pop("crc32") != _checksum(tensors, metadata):
                raise TornCheckpointError(f"{path} holds other bytes than were written")
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TornCheckpointError(f"{path} cannot be read: {error}") from error
    now = dict(made_from or {})
    changed = [name for name in {**begun_from, **now} if begun_from.get(name) != now.get(name)]
    if changed:
        raise BegunOtherwiseError(
            f"this run stands at step {progress['step']} and was begun from other bytes than are there now: "
            f"{', '.join(changed)} changed. Put back what was there and run again, which goes on from that step."
        )
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


def _checksum(tensors: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> str:
    """CRC-32 of names, types, shapes and bytes: safetensors itself notices no flipped bit. Three times as fast as SHA-256."""
    found = zlib.crc32(json.dumps(dict(about), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), found)
        found = zlib.crc32(tensor.flatten().view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors that training changes, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
