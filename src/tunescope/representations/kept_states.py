"""Pooled states of many examples in one safetensors file: written batch by batch, read a few rows at a time, never whole in memory.

A tensor `<state>/<pooling>` each, (n, d) float32, rows in the examples' order; the metadata has the states and poolings in
theirs. Tokens are not kept: they differ in number from text to text, and are too many.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tunescope.errors import StoreError
from tunescope.representations.reads import Read
from tunescope.representations.side_by_side import StateBatch

_BYTES = 4
"""Of a float32."""

States = Mapping[tuple[str, Read], np.ndarray | list[np.ndarray]]
"""A model's part of a batch: (state, read) -> (b, d), or single tokens."""


class StateWriter:
    """Writes the rows of each batch to their places; a context, which closes the file.

    Args:
        path: Of the file; what is there is replaced.
        num_examples: n, all batches together; each example comes once.
    """

    def __init__(self, path: Path, num_examples: int) -> None:
        self._file = path.open("wb", buffering=0)
        self._is_written = np.zeros(num_examples, dtype=bool)
        self._starts: dict[tuple[str, Read], tuple[int, int]] = {}
        """(state, pooling) -> where its rows begin in the file, and its features."""
        self.num_bytes = 0
        """Of the whole file, once the first batch is there."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None:
            assert self._is_written.all(), f"{int((~self._is_written).sum())} examples were not written"

    def add(self, places: np.ndarray, states: States) -> None:
        """Writes rows of float32 or what rounds to it.

        Args:
            places: (b,) which of the examples the rows are.
            states: (state, pooling) -> (b, d), the same ones in every batch; single tokens are left out.
        """
        pooled = {key: rows for key, rows in states.items() if isinstance(rows, np.ndarray)}
        if not self._starts:
            self._begin({key: rows.shape[1] for key, rows in pooled.items()})
        assert pooled.keys() == self._starts.keys(), "every batch has the same states"
        assert not self._is_written[places].any(), "every example comes once"
        for key, rows in pooled.items():
            start, width = self._starts[key]
            for place, row in zip(places.tolist(), rows.astype("<f4", copy=False), strict=True):
                self._file.seek(start + place * width * _BYTES)
                _write(self._file, row.tobytes())
        self._is_written[places] = True

    def _begin(self, widths: Mapping[tuple[str, Read], int]) -> None:
        names = {
            "states": list(dict.fromkeys(state for state, _ in widths)),
            "poolings": list(dict.fromkeys(pooling for _, pooling in widths)),
        }
        header: dict[str, Any] = {"__metadata__": {name: json.dumps(values) for name, values in names.items()}}
        offsets, end = {}, 0
        for (state, pooling), width in widths.items():
            begin, end = end, end + len(self._is_written) * width * _BYTES
            offsets[(state, pooling)] = begin, width
            shape = [len(self._is_written), width]
            header[f"{state}/{pooling}"] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        _write(self._file, len(text).to_bytes(8, "little") + text)
        first = 8 + len(text)
        self._starts = {key: (first + begin, width) for key, (begin, width) in offsets.items()}
        self.num_bytes = first + end


class KeptStates:
    """What a `StateWriter` wrote, mapped into memory: opening it reads no state.

    Args:
        path: Of the file.

    Raises:
        StoreError: If it is no whole file of such states.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                said = file.metadata() or {}
                names = [
                    (state, pooling)
                    for state in json.loads(said.get("states", "[]"))
                    for pooling in json.loads(said.get("poolings", "[]"))
                ]
                self._states: dict[tuple[str, Read], Any] = {
                    (state, pooling): file.get_tensor(f"{state}/{pooling}") for state, pooling in names
                }
        except (OSError, SafetensorError, ValueError) as error:
            raise StoreError(f"{path}: not a whole file of hidden states ({error}). Run its job again.") from error
        numbers = {
            len(rows) if rows.dim() == 2 and rows.dtype.itemsize == _BYTES else -1 for rows in self._states.values()
        }
        if len(numbers) != 1 or -1 in numbers:
            raise StoreError(f"{path}: not a file of hidden states of the same examples. Run its job again.")
        (self.num_examples,) = numbers

    @property
    def names(self) -> tuple[tuple[str, Read], ...]:
        """(state, pooling), states from the model's input to its output."""
        return tuple(self._states)

    def rows(self, places: np.ndarray) -> dict[tuple[str, Read], np.ndarray | list[np.ndarray]]:
        """A batch: (state, pooling) -> (b, d) float32, copies.

        Args:
            places: (b,) int64, which of the examples.
        """
        import torch

        at = torch.from_numpy(places)
        return {key: np.asarray(rows[at].numpy()) for key, rows in self._states.items()}


def beside_kept(kept: KeptStates, batches: Iterable[StateBatch]) -> Iterator[StateBatch]:
    """Batches of some models with those rows in front that a model gave for the same examples earlier."""
    for batch in batches:
        yield StateBatch(places=batch.places, states=(kept.rows(batch.places), *batch.states))


def kept_on_the_way(batches: Iterable[StateBatch], model: int, writer: StateWriter) -> Iterator[StateBatch]:
    """The batches as they are; one model's states are written as they pass."""
    for batch in batches:
        writer.add(batch.places, batch.states[model])
        yield batch


def _write(file: Any, data: bytes) -> None:
    """All of the bytes: a write to a file without a buffer may take some alone."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
