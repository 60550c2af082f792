"""Rows of one side as a pass brought them, in blocks that do not depend on its batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tunescope.similarity import checks

_ROWS_PER_BLOCK = 1024


class KeptRows:
    """A copy of rows, which grows without moving what it holds.

    Args:
        num_features: d.
    """

    def __init__(self, num_features: int) -> None:
        self._num_features = num_features
        self._blocks: list[np.ndarray] = []
        self._num_in_last = 0

    def __len__(self) -> int:
        return sum(len(block) for block in self)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Blocks (b, d) of float32, or of float64 where rows came so, that together are all rows."""
        yield from self._blocks[:-1]
        if self._blocks:
            yield self._blocks[-1][: self._num_in_last]

    def append(self, rows: np.ndarray) -> None:
        """Copies rows (b, d) of any float dtype."""
        is_narrow = rows.dtype.kind == "f" and rows.dtype.itemsize <= 4
        dtype = np.dtype(np.float32 if is_narrow else np.float64)
        while len(rows):
            if not self._blocks or self._num_in_last == _ROWS_PER_BLOCK or self._blocks[-1].dtype != dtype:
                self._blocks = [*self, np.empty((_ROWS_PER_BLOCK, self._num_features), dtype=dtype)]
                self._num_in_last = 0
            block = self._blocks[-1]
            num = min(len(rows), _ROWS_PER_BLOCK - self._num_in_last)
            block[self._num_in_last : self._num_in_last + num] = rows[:num]
            self._num_in_last += num
            rows = rows[num:]

    def pop_blocks(self) -> Iterator[np.ndarray]:
        """The blocks, each let go before the next; none is left."""
        blocks = list(self)[::-1]
        self._blocks, self._num_in_last = [], 0
        while blocks:
            yield blocks.pop()

    def together(self) -> np.ndarray:
        """(n, d) all rows, a copy."""
        blocks = list(self)
        return np.concatenate(blocks) if blocks else np.empty((0, self._num_features), dtype=np.float32)

    def mean(self, most: int) -> np.ndarray:
        """(d,) float64, of the first `most` rows, of which there is one at least."""
        total, num = np.zeros(self._num_features), 0
        for block in self:
            rows = block[: most - num]
            total += checks.column_sums(rows)
            num += len(rows)
        return total / num
