"""Memory that is used again: the pages of a fresh array cost as much time as the sums that are written to them."""

from __future__ import annotations

from math import prod

import numpy as np

_LINE = 64
"""Bytes of a cache line, at which arrays begin: loads and stores of vectors then cross none."""


class Room:
    """Arrays by name, each written over by the next of its name; of one thread alone."""

    def __init__(self) -> None:
        self._bytes: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype | type[np.floating]) -> np.ndarray:
        """An array that is not cleared; what was made under this name before must not be used any more."""
        num = prod(shape) * np.dtype(dtype).itemsize
        if name not in self._bytes or self._bytes[name].size < num:
            fresh = np.empty(num + _LINE, dtype=np.uint8)
            first = -fresh.ctypes.data % _LINE
            self._bytes[name] = fresh[first : first + num]
        return self._bytes[name][:num].view(dtype).reshape(shape)
