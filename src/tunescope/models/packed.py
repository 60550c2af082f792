"""A whole model in less space: every tensor against the base model's tensor of the same place, bit for bit.

A folder of `packed-00001-of-00002.safetensors`, ... beside config.json. Each file holds a uint8 array per tensor, as
`difference.pack_words` made it, and one metadata key, `tunescope_packed`, with JSON:

    {"format": 1, "tensors": {"model.norm.weight": {"dtype": "float32", "shape": [2048], "base": "model.norm.weight",
     "planes": [1310, 1874, 402, 23], "crc32": 305419896, "base_crc32": 2596069104}}}

`planes`: lengths in bytes, as `unpack_words` takes them. `crc32`: of the tensor's bytes (little endian), `base_crc32`: of the
base tensor's; both are verified when it is read. `base`: the base checkpoint's name for the tensor that it is told against, null
where there is none (a new head). A name that shares its memory with an earlier one says `{"same_as": "that name"}` instead.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, ValidationError

from tunescope.errors import ModelError
from tunescope.fields import Frozen
from tunescope.models.difference import Words, pack_words, unpack_words

if TYPE_CHECKING:
    import torch

DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
"""Types that can be packed, as torch calls them -> as safetensors does."""

_KEY = "tunescope_packed"
_NAME = re.compile(r"packed-(\d{5})-of-(\d{5})\.safetensors")
_FILE_BYTES = 2**29
"""Of unpacked tensors in one file: less than that is held while it is written. A larger tensor has a file of its own."""
_AGAIN = "Train the run again."


@dataclass(frozen=True, kw_only=True)
class Twin:
    """The base model's tensor that a tensor of the tuned model started from."""

    name: str
    """In the base checkpoint."""
    read: Callable[[], torch.Tensor]
    """Gives its values, of the same shape, in whatever type the checkpoint has."""


def _known_dtype(name: str) -> str:
    if name not in DTYPES:
        raise ValueError(f"unknown type {name}")
    return name


class _Tensor(Frozen):
    dtype: Annotated[str, AfterValidator(_known_dtype)]
    shape: tuple[Annotated[int, Field(ge=0)], ...]
    base: str | None
    planes: tuple[Annotated[int, Field(ge=0)], ...]
    crc32: int
    base_crc32: int | None


class _Alias(Frozen):
    same_as: str


class _Contents(Frozen):
    format: Literal[1] = 1
    tensors: dict[str, _Tensor | _Alias]


def is_packed(folder: Path) -> bool:
    """Whether a folder holds packed weights."""
    return folder.is_dir() and any(is_weights_file(path) for path in folder.iterdir())


def is_weights_file(path: Path) -> bool:
    """Whether a file is, by its name, one of those that hold packed weights."""
    return _NAME.fullmatch(path.name) is not None


def write_packed(tensors: Mapping[str, torch.Tensor], folder: Path, twins: Mapping[str, Twin]) -> None:
    """Packs tensors into a folder; the same tensors and twins give the same bytes.

    Args:
        tensors: Name -> tensor, on any device; moved to the CPU one at a time.
        folder: There, and without packed weights.
        twins: Name -> twin, for those that have one.

    Raises:
        ModelError: If a tensor's type is none of `DTYPES`.
        OSError: If it cannot be written.
    """
    from safetensors.numpy import save_file

    files = _files_of(tensors)
    seen: dict[tuple[object, ...], str] = {}
    for number, names in enumerate(files, start=1):
        arrays: dict[str, NDArray[np.uint8]] = {}
        told: dict[str, _Tensor | _Alias] = {}
        for name in names:
            tensor = tensors[name].detach()
            memory = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
            if tensor.numel() and memory in seen:
                told[name] = _Alias(same_as=seen[memory])
            else:
                seen[memory] = name
                arrays[name], told[name] = _pack(name, tensor, twins.get(name))
        content = _Contents(tensors=told).model_dump_json()
        save_file(arrays, folder / f"packed-{number:05d}-of-{len(files):05d}.safetensors", metadata={_KEY: content})


class PackedWeights:
    """The packed weights of a folder. Headers are read at once, a tensor when it is asked for."""

    def __init__(self, folder: Path, *, where: str) -> None:
        """Reads the headers.

        Raises:
            ModelError: If a file is missing, damaged, or in a format of a newer tunescope.
        """
        from safetensors import SafetensorError, safe_open

        self.where = where
        self.same_as: dict[str, str] = {}
        """Name -> the tensor that it shares its memory with; these have no bytes of their own."""
        self._files: dict[str, Path] = {}
        self._tensors: dict[str, _Tensor] = {}
        for path in _all_files(folder, where):
            try:
                with safe_open(path, framework="np") as file:
                    told = _Contents.model_validate_json((file.metadata() or {}).get(_KEY, "")).tensors
                    held = set(file.keys())
            except (OSError, SafetensorError, ValidationError) as error:
                raise self._damaged(path, " ".join(str(error).split())) from error
            own = {name: entry for name, entry in told.items() if isinstance(entry, _Tensor)}
            self.same_as |= {name: entry.same_as for name, entry in told.items() if isinstance(entry, _Alias)}
            if held != own.keys():
                raise self._damaged(path, "it holds other tensors than it lists")
            self._tensors |= own
            self._files |= dict.fromkeys(own, path)
        astray = [name for name, other in self.same_as.items() if other not in self._tensors]
        if astray:
            raise ModelError(f"{where}: {astray[0]} is the same as a tensor that is not there. {_AGAIN}")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape, of names that share another's memory too."""
        return {name: self._entry(name).shape for name in (*self._tensors, *self.same_as)}

    @property
    def dtypes(self) -> dict[str, str]:
        """Name -> one of `DTYPES`."""
        return {name: self._entry(name).dtype for name in (*self._tensors, *self.same_as)}

    def base_name(self, name: str) -> str | None:
        """The base checkpoint's name for the tensor that this one is told against; None where it is told by itself."""
        return self._entry(name).base

    def crc32(self, name: str) -> int:
        """CRC-32 of a tensor's bytes."""
        return self._entry(name).crc32

    def tensor(self, name: str, base: torch.Tensor | None) -> torch.Tensor:
        """One tensor, bit for bit as it was packed.

        Args:
            name: Of `shapes`.
            base: The base model's tensor `base_name(name)`, on any device, in the checkpoint's type or widened; None if that
                is None.

        Returns:
            The tensor, on the CPU.

        Raises:
            ModelError: If the base is another than at packing, or the file is damaged.
        """
        import torch
        from safetensors import SafetensorError, safe_open

        held = self.same_as.get(name, name)
        entry, path = self._tensors[held], self._files[held]
        if (base is None) != (entry.base is None):
            raise ValueError(f"PackedWeights: {name} needs {'no base' if entry.base is None else entry.base}")
        dtype = getattr(torch, entry.dtype)
        started = None if base is None else words_of(base.detach().to(dtype))
        if base is not None and (tuple(base.shape) != entry.shape or zlib.crc32(_bytes(started)) != entry.base_crc32):
            raise ModelError(
                f"{self.where}: {name} was packed against another tensor {entry.base} than this base model's. Give the very "
                f"base model that it was tuned from."
            )
        tensor = torch.empty(entry.shape, dtype=dtype)
        words = words_of(tensor)
        try:
            with safe_open(path, framework="np") as file:
                unpack_words(file.get_tensor(held), entry.planes, words, started, num_threads=torch.get_num_threads())
        except (OSError, SafetensorError, ValueError) as error:
            raise self._damaged(path, f"tensor {name}: {error}") from error
        if zlib.crc32(_bytes(words)) != entry.crc32:
            raise self._damaged(path, f"tensor {name} has another checksum than when it was packed")
        return tensor

    def _entry(self, name: str) -> _Tensor:
        return self._tensors[self.same_as.get(name, name)]

    def _damaged(self, path: Path, why: str) -> ModelError:
        return ModelError(f"{self.where}: {path.name} is damaged or not of this format: {why}. {_AGAIN}")


def words_of(tensor: torch.Tensor) -> Words:
    """(n,) the bit patterns of a tensor's elements; of one in memory on the CPU a view that can be written to."""
    import torch

    flat: NDArray[np.uint8] = tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat.view(f"u{tensor.element_size()}")


def _pack(name: str, tensor: torch.Tensor, twin: Twin | None) -> tuple[NDArray[np.uint8], _Tensor]:
    import torch

    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise ModelError(f"{name} is of type {dtype}, which cannot be packed. Say compute.pack_weights: false.")
    words = words_of(tensor)
    base = None if twin is None else words_of(twin.read().to(tensor.dtype))
    packed, planes = pack_words(words, base, num_threads=torch.get_num_threads())
    entry = _Tensor(
        dtype=dtype,
        shape=tuple(tensor.shape),
        base=None if twin is None else twin.name,
        planes=tuple(planes),
        crc32=zlib.crc32(_bytes(words)),
        base_crc32=None if base is None else zlib.crc32(_bytes(base)),
    )
    return packed, entry


def _bytes(words: Words | None) -> memoryview:
    """As CRC-32 takes them; an array without elements is no buffer for it."""
    return memoryview(b"") if words is None or not words.size else words.data


def _files_of(tensors: Mapping[str, torch.Tensor]) -> list[list[str]]:
    """Names by file, in order."""
    files: list[list[str]] = [[]]
    size = 0
    for name, tensor in tensors.items():
        if files[-1] and size + tensor.nbytes > _FILE_BYTES:
            files.append([])
            size = 0
        files[-1].append(name)
        size += tensor.nbytes
    return files


def _all_files(folder: Path, where: str) -> list[Path]:
    """The folder's files, of which none may be missing."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    totals = {int(found[2]) for name in names if (found := _NAME.fullmatch(name))}
    if len(totals) != 1:
        raise ModelError(
            f"{where}: expected packed-00001-of-.....safetensors and its like of one number, found {len(totals)}. {_AGAIN}"
        )
    (total,) = totals
    wanted = [f"packed-{number:05d}-of-{total:05d}.safetensors" for number in range(1, total + 1)]
    lost = [name for name in wanted if name not in names]
    if lost:
        raise ModelError(f"{where}: {', '.join(lost)} of {total} packed files is missing. {_AGAIN}")
    return [folder / name for name in wanted]
