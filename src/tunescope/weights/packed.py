"""A packed model beside its base checkpoint: which tensors it is told against, and each read when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tunescope.errors import ModelError
from tunescope.models.packed import DTYPES, PackedWeights, Twin
from tunescope.weights.checkpoint import Checkpoint
from tunescope.weights.names import pairs_of

if TYPE_CHECKING:
    import torch


def twins_in(base: Path, tuned: Mapping[str, tuple[int, ...]]) -> dict[str, Twin]:
    """The base model's tensor of the same place and shape, for each tensor of a tuned model that has one.

    What has none (a new head, a layer that transformers puts together from several tensors) is left out.

    Args:
        base: The base model's folder.
        tuned: Name -> shape.

    Raises:
        ModelError: If the base model's weights are missing or not whole.
    """
    before = Checkpoint.of_model(base, where=str(base))
    return {
        twin: Twin(name=name, read=partial(before.stored, name))
        for name, twin in pairs_of(tuned, before.shapes).items()
        if before.shapes[name] == tuned[twin]
    }


class PackedCheckpoint(Checkpoint):
    """A packed model's tensors, each unpacked against the base checkpoint when it is read."""

    def __init__(self, folder: Path, before: Checkpoint) -> None:
        """Reads the headers.

        Args:
            folder: With the packed files.
            before: The base model that it was packed against.

        Raises:
            ModelError: If a packed file is missing or not whole, or the base lacks a tensor that it was packed against.
        """
        self.where = str(folder)
        self._packed = PackedWeights(folder, where=self.where)
        self._before = before
        self.shapes = self._packed.shapes
        self._dtypes = {name: DTYPES[dtype] for name, dtype in self._packed.dtypes.items()}
        self._files = dict.fromkeys(self.shapes, folder)
        needed = {name: self._packed.base_name(name) for name in self.shapes}
        lost = [name for name, twin in needed.items() if twin is not None and twin not in before.shapes]
        if lost:
            raise ModelError(
                f"{self.where}: not tuned from {before.where}: {lost[0]} was packed against {needed[lost[0]]}, which is not in it. "
                f"Give the base model that it was trained from."
            )

    def stored(self, name: str) -> torch.Tensor:
        """One tensor as it was before it was packed.

        Raises:
            ModelError: If the base is another than at packing, or a file is damaged.
        """
        twin = self._packed.base_name(name)
        return self._packed.tensor(name, None if twin is None else self._before.stored(twin))
