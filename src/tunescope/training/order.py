"""Which rows each optimiser step sees, and in which portions they are computed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def epoch_order(num_rows: int, seed: int, epoch: int) -> np.ndarray:
    """(num_rows,) a permutation of the rows that depends on seed and epoch alone, so that resuming needs no state."""
    return np.random.default_rng([seed, epoch]).permutation(num_rows)


class DataOrder:
    """The rows of each optimiser step: every epoch a fresh permutation, cut into batches; the last may be smaller."""

    def __init__(self, *, num_rows: int, batch_size: int, seed: int) -> None:
        self.num_rows = num_rows
        self.batch_size = batch_size
        self.steps_per_epoch = -(-num_rows // batch_size)
        self._seed = seed
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def rows(self, step: int) -> np.ndarray:
        """The rows of optimiser step `step`, counted from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, epoch_order(self.num_rows, self._seed, epoch)
        return self._order[position * self.batch_size : (position + 1) * self.batch_size]


def micro_batches(rows: np.ndarray, lengths: np.ndarray, max_tokens: int) -> Iterator[np.ndarray]:
    """Rows of one optimiser step, in portions of like length that pad to at most `max_tokens` tokens.

    Sorting happens inside the step, so padding is saved and no step sees other examples than it was dealt.

    Args:
        rows: (b,) rows of the step.
        lengths: (num_rows,) tokens of every row.
        max_tokens: A portion's rows x longest row; one row longer than that is a portion of its own.
    """
    by_length = rows[np.argsort(lengths[rows], kind="stable")[::-1]]
    start = 0
    while start < len(by_length):
        size = max(1, max_tokens // int(lengths[by_length[start]]))
        yield by_length[start : start + size]
        start += size
