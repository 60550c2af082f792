"""What the jobs of one process read again and again, kept within a bound: what was least recently used goes first."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import numpy as np

from tunescope.tasks.encoded import Encoded
from tunescope.tasks.examples import Examples

_T = TypeVar("_T")
_TOKEN_BYTES = 40
"""Of a token id in a list: a pointer and the number (CPython 3.11, 64 bit)."""
_TYPE_BYTES = 8
"""Of a token type: a pointer, as small numbers are there once."""
_ROW_BYTES = 100
"""Of a row's list, or of an array's header."""


class Kept:
    """Values by key, about `max_bytes` of them; the latest stays however large it is, as a job is about to use it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], _T], num_bytes: Callable[[_T], int]) -> _T:
        """The value of a key: kept, or made and kept.

        Args:
            key: What the value is made from, all of it; two callers with one key make the same kind of value.
            make: Makes the value.
            num_bytes: About how much memory it takes.
        """
        if key in self._values:
            self._values.move_to_end(key)
            return cast(_T, self._values[key][0])
        made = make()
        self._values[key] = (made, num_bytes(made))
        while len(self._values) > 1 and self.num_bytes > self._max_bytes:
            self._values.popitem(last=False)
        return made

    @property
    def num_bytes(self) -> int:
        """About how much memory all that is kept takes."""
        return sum(num for _, num in self._values.values())

    def forget(self) -> None:
        """Drops all."""
        self._values.clear()


def bytes_of_examples(*parts: Examples) -> int:
    """About how much memory examples take; a text that several rows share counts once."""
    texts: dict[int, int] = {}
    total = 0
    for examples in parts:
        for column in (examples.ids, *examples.texts.values()):
            total += 8 * len(column)
            texts |= {id(text): sys.getsizeof(text) for text in column}
        if isinstance(examples.targets, np.ndarray):
            total += examples.targets.nbytes
        else:
            total += sum(_ROW_BYTES + sum(map(sys.getsizeof, answers.texts)) for answers in examples.targets)
    return total + sum(texts.values())


def bytes_of_encoded(encoded: Encoded) -> int:
    """About how much memory encoded rows take."""
    num_tokens, num_rows = int(encoded.lengths.sum()), len(encoded)
    total = num_tokens * _TOKEN_BYTES + num_rows * _ROW_BYTES + encoded.targets.nbytes + encoded.example_index.nbytes
    if encoded.token_types is not None:
        total += num_tokens * _TYPE_BYTES + num_rows * _ROW_BYTES
    if encoded.windows is not None:
        total += sum(offsets.nbytes + _ROW_BYTES for offsets in encoded.windows.offsets)
    return total
