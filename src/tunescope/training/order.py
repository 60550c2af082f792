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


def micro_batches(
    rows: np.ndarray, lengths: np.ndarray, max_tokens: int, *, padding_free: bool = False
) -> Iterator[np.ndarray]:
    """Rows of one optimiser step, in portions of like length that take at most `max_tokens` tokens.

    Sorting happens inside the step, so padding is saved and no step sees other examples than it was dealt.

    Args:
        rows: (b,) rows of the step.
        lengths: (num_rows,) tokens of every row.
        max_tokens: Of a portion (`computed_tokens`); one row longer than that is a portion of its own.
        padding_free: Whether rows are computed without padding.
    """
    by_length = rows[np.argsort(lengths[rows], kind="stable")[::-1]]
    start = 0
    while start < len(by_length):
        left = lengths[by_length[start:]]
        taken = left.cumsum() if padding_free else left[0] * np.arange(1, len(left) + 1)  # by the first 1, 2, ... rows
        size = max(1, int(taken.searchsorted(max_tokens, side="right")))
        yield by_length[start : start + size]
        start += size


def computed_tokens(portion: np.ndarray, lengths: np.ndarray, *, padding_free: bool) -> int:
    """Tokens that a portion's rows take: padded to the longest of them, or their own alone.

    Args:
        portion: (b,) rows.
        lengths: (num_rows,) tokens of every row.
        padding_free: Whether rows are computed without padding.
    """
    of_rows = lengths[portion]
    return int(of_rows.sum()) if padding_free else len(portion) * int(of_rows.max())
