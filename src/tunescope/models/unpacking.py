"""A packed model back to a plain Hugging Face folder, a tensor in memory at a time, every byte read back."""

from __future__ import annotations

import json
import math
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tunescope.errors import ModelError
from tunescope.models.packed import DTYPES, PackedWeights, is_weights_file, words_of
from tunescope.models.weights import SINGLE

if TYPE_CHECKING:
    import torch


class Base(Protocol):
    """A base model's tensors, as `weights.checkpoint.Checkpoint` has them."""

    shapes: dict[str, tuple[int, ...]]

    def stored(self, name: str) -> torch.Tensor:
        """One tensor as it is stored, read when it is asked for."""
        ...


def unpack_model(folder: Path, base: Base, out: Path) -> None:
    """Writes `model.safetensors` and all that lies beside the packed files.

    The file is the one that `save_pretrained` would have written; where names share their memory, each is there with a copy.

    Args:
        folder: With the packed files.
        base: The base model's checkpoint.
        out: An empty folder.

    Raises:
        ModelError: If a packed file is damaged, the base is another than at packing, or what was written reads back otherwise.
        OSError: If it cannot be written.
    """
    packed = PackedWeights(folder, where=str(folder))
    lost = [name for name in packed.shapes if (twin := packed.base_name(name)) is not None and twin not in base.shapes]
    if lost:
        raise ModelError(
            f"{folder}: {lost[0]} was packed against {packed.base_name(lost[0])}, which is not in this base model. Give the very "
            f"base model that it was tuned from."
        )
    _write_weights(packed, base, out / SINGLE)
    _verify(packed, out / SINGLE)
    for path in sorted(folder.iterdir()):
        if not is_weights_file(path):
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, out / path.name)


def _write_weights(packed: PackedWeights, base: Base, path: Path) -> None:
    """A safetensors file in its own writer's order: the widest types first, then by name; nothing is held but one tensor."""
    import torch

    dtypes, shapes = packed.dtypes, packed.shapes
    sizes = {name: getattr(torch, dtype).itemsize for name, dtype in dtypes.items()}
    names = sorted(shapes, key=lambda name: (-sizes[name], name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        start, end = end, end + sizes[name] * math.prod(shapes[name])
        header[name] = {"dtype": DTYPES[dtypes[name]], "shape": list(shapes[name]), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            twin = packed.base_name(name)
            file.write(words_of(packed.tensor(name, None if twin is None else base.stored(twin))).tobytes())


def _verify(packed: PackedWeights, path: Path) -> None:
    """Reads the file again, as others will, and compares checksums.

    Raises:
        ModelError: If a tensor is not what was packed.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            held = file.keys()
            differing = [
                name
                for name in packed.shapes
                if name not in held or zlib.crc32(words_of(file.get_tensor(name)).tobytes()) != packed.crc32(name)
            ]
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read back ({error}). Is the disk sound? Unpack it again.") from error
    if differing:
        raise ModelError(
            f"{path}: {differing[0]} reads back otherwise than written. Is the disk sound? Unpack it again."
        )
