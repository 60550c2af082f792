"""The tensors of a model or adapter folder by name, each read from its safetensors file when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tunescope.errors import ModelError
from tunescope.models.weights import check_weight_files, weight_files
from tunescope.weights.update import Floats

if TYPE_CHECKING:
    import torch

_HALF = {"F16": "float16", "BF16": "bfloat16"}
_FULL = ("F32", "F64")


class Checkpoint:
    """Tensors that lie in one or more safetensors files. Headers are read once, values only by `read`."""

    def __init__(self, files: tuple[Path, ...], *, where: str) -> None:
        """Reads the headers.

        Raises:
            ModelError: If a file is missing or not whole.
        """
        from safetensors import SafetensorError, safe_open

        self.where = where
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._files: dict[str, Path] = {}
        self._dtypes: dict[str, str] = {}
        for path in files:
            try:
                with safe_open(path, framework="pt") as file:
                    for name in file.keys():  # noqa: SIM118 - not a dict
                        part = file.get_slice(name)
                        self.shapes[name] = tuple(part.get_shape())
                        self._dtypes[name] = str(part.get_dtype())
                        self._files[name] = path
            except (OSError, SafetensorError) as error:
                raise ModelError(
                    f"{where}: {path.name} is not a whole safetensors file ({error}). Make or fetch it again."
                ) from error

    @classmethod
    def of_model(cls, folder: Path, *, where: str) -> Checkpoint:
        """A model folder's weights, in one file or in shards.

        Raises:
            ModelError: If it has none, or one is missing or not whole.
        """
        check_weight_files(folder, where=where)
        return cls(weight_files(folder, where=where), where=where)

    def is_number(self, name: str) -> bool:
        """Whether the tensor holds floating-point numbers of a kind that weights are kept in."""
        return self._dtypes[name] in _FULL or self._dtypes[name] in _HALF

    def refuse_half(self, why: str) -> None:
        """Refuses weights in half precision.

        Raises:
            ModelError: Naming the first tensor in float16 or bfloat16; `why` says what it spoils and what to do.
        """
        for name, dtype in self._dtypes.items():
            if dtype in _HALF:
                raise ModelError(f"{self.where}: {name} is kept in {_HALF[dtype]}. {why}")

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor as it is stored, where all its values are numbers.

        Raises:
            ModelError: If its file cannot be read, or a value is NaN or infinite.
        """
        import torch

        tensor = self.stored(name)
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            file = self._files[name].name
            raise ModelError(f"{self.where}: {file}: tensor {name} holds values that are NaN or infinite.")
        return tensor

    def stored(self, name: str) -> torch.Tensor:
        """One tensor as it is stored, whatever its values.

        Raises:
            ModelError: If its file cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        path = self._files[name]
        try:
            with safe_open(path, framework="pt") as file:
                tensor: torch.Tensor = file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{self.where}: {path.name} is not a whole safetensors file ({error}). Make or fetch it again."
            ) from error
        return tensor

    def read(self, name: str) -> Floats:
        """One tensor as an array: float64 stays, all else is widened to float32, which changes no value.

        Raises:
            ModelError: As `tensor`.
        """
        import torch

        tensor = self.tensor(name)
        array: Floats = (tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)).numpy()
        assert array.dtype in (np.float32, np.float64)
        return array
