"""Rows of the same examples on one side or two: kept while they are few, folded into sums of products when they are many.

Legend: n examples; d features; a side is "x" or "y"; a pair of sides, such as "xy", has moments (`moments.Moments`).

While a pass has few examples their rows are kept: there are then fewer of them than of sums, and Gram matrices are the cheaper
way to a CKA (`cross.crossing`). Beyond, the rows are folded into the moments, a block at a time: O(d^2) memory whatever n.
Blocks are cut anew, so that the batches in which one pass brings its rows do not change a bit of the result.

Rows are folded as x - shift. HSIC does not depend on the shift, floats do: hidden states have means whose square is a thousand
times their variance, and squares of raw rows leave no digits. The shift is the caller's, or the mean of the rows kept when the
first are folded. From then on a row is read once when it comes, to be written, shifted, into its block. Sums with different
shifts merge exactly, by the algebra of `moments`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from tunescope.similarity import checks
from tunescope.similarity.centred import Centred, centred_rows
from tunescope.similarity.cross import crossing
from tunescope.similarity.kept_rows import KeptRows
from tunescope.similarity.moments import Moments, Rows

_BLOCK = 2048
"""Rows folded at once: enough that adding to the sums costs little, few enough that float32 products keep their digits."""
_FEWEST_KEPT = 1024
"""With few features sums are cheaper from the start; so many rows cost little and make a good shift."""


class RowSums:
    """What `streaming.SelfSums` and `streaming.PairSums` have in common.

    Args:
        widths: Features of each side.
        shifts: Of each side (d,), or None.
        dtype: Of products, float32 or float64; sums are float64.
        pairs: Which pairs of sides to take moments of.
    """

    _sides: str

    def __init__(
        self,
        widths: Sequence[int],
        shifts: Sequence[np.ndarray | None],
        dtype: type[np.floating],
        pairs: tuple[str, ...],
    ) -> None:
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"{self._where}: dtype must be float32 or float64, got {np.dtype(dtype).name}.")
        for side, width, shift in zip(self._sides, widths, shifts, strict=True):
            if width < 1:
                raise ValueError(f"{self._where}: {side.upper()} needs at least one feature, got {width}.")
            if shift is not None and (np.shape(shift) != (width,) or not np.isfinite(shift).all()):
                raise ValueError(
                    f"{self._where}: shift_{side} must be {width} finite numbers, got shape {np.shape(shift)}."
                )
        self._pairs = pairs
        self._dtype = dtype
        self._widths = tuple(widths)
        self._shifts = [None if shift is None else self._as_products(np.asarray(shift)) for shift in shifts]
        self._kept = [KeptRows(width) for width in widths]  # empty once there are moments
        self._block: list[np.ndarray] = []  # of shifted rows, once there are moments
        self._num_in_block = 0
        self._most_kept = max(_FEWEST_KEPT, crossing(widths[0], widths[-1]))
        self._moments: dict[str, Moments] = {}  # empty while all rows are kept

    @property
    def num_examples(self) -> int:
        """Examples seen."""
        if not self._moments:
            return len(self._kept[0])
        return self._moments[self._pairs[0]].num_examples + self._num_in_block

    @property
    def keeps_rows(self) -> bool:
        """Whether all that was seen is held as rows, not as sums."""
        return not self._moments

    def fold(self) -> None:
        """Turns the rows that are kept into sums, however few: nothing of a single example is left.

        Raises:
            ValueError: If there was no example and no shift was given.
        """
        if self.num_examples == 0 and any(shift is None for shift in self._shifts):
            raise ValueError(f"{self._where}: no examples to fold.")
        if not self._moments:
            self._begin_folding()
        self._fold_block()

    def merge(self, other: Self) -> None:
        """Counts in all examples of another accumulator, which stays as it was; their shifts may differ.

        Raises:
            ValueError: If the other has other features, another dtype or other products.
        """
        mine, theirs = (self._widths, self._dtype, self._pairs), (other._widths, other._dtype, other._pairs)
        if mine != theirs:
            raise ValueError(
                f"{self._where}: can only merge with sums of the same features, dtype and pairs, got "
                f"{self._widths}, {self._dtype.__name__}, {self._pairs} and "
                f"{other._widths}, {other._dtype.__name__}, {other._pairs}."
            )
        if other._moments:
            if self.num_examples == 0:
                # Rows of our own know their mean best; without any, the other's shift will do.
                self._shifts = [
                    own if own is not None else others for own, others in zip(self._shifts, other._shifts, strict=True)
                ]
            self.fold()
            for pair, moments in self._moments.items():
                moments.merge(other._moments[pair])
                moments.merge(other._moments_of_block(pair))
        elif other.num_examples:
            self._keep([kept.together() for kept in other._kept])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All there is to save: rows while they are kept (`fold` first where none may be written), else sums."""
        arrays = {"float_bits": np.array(np.finfo(self._dtype).bits)}
        if self._moments:
            self.fold()
            arrays |= {f"Z_{pair}": moments.Z for pair, moments in self._moments.items()}
        else:
            arrays |= {f"rows_{side}": kept.together() for side, kept in zip(self._sides, self._kept, strict=True)}
        for side, shift in zip(self._sides, self._shifts, strict=True):
            if shift is not None:
                arrays[f"shift_{side}"] = shift
        return arrays

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes up what `to_arrays` gave, into an accumulator that is empty."""
        if f"rows_{self._sides[0]}" in arrays:
            self._keep([np.asarray(arrays[f"rows_{side}"]) for side in self._sides])
            return
        for pair in self._pairs:
            shift_x, shift_y = (np.array(arrays[f"shift_{side}"]) for side in pair)
            self._moments[pair] = Moments(shift_x, shift_y, np.array(arrays[f"Z_{pair}"]))

    @property
    def _where(self) -> str:
        return type(self).__name__

    def _update(self, batches: Sequence[np.ndarray]) -> None:
        """Checks a batch of each side, then keeps it."""
        batches = [np.asarray(batch) for batch in batches]
        for side, batch, width in zip(self._sides, batches, self._widths, strict=True):
            if batch.ndim != 2 or batch.shape[1] != width:
                raise ValueError(
                    f"{self._where}: {side.upper()} must be examples by {width} features, got shape {batch.shape}."
                )
        if len(batches[0]) != len(batches[-1]):
            raise ValueError(
                f"{self._where}: X and Y must hold the same examples in the same order, got {len(batches[0])} rows and "
                f"{len(batches[-1])}."
            )
        for side, batch in zip(self._sides, batches, strict=True):
            checks.check_finite(self._where, side.upper(), batch, first_row=self.num_examples)
        self._keep(batches)

    def _keep(self, batches: Sequence[np.ndarray]) -> None:
        """Copies rows, and folds blocks that are complete."""
        if self._moments:
            self._shift_into_block(batches)
            return
        for kept, batch in zip(self._kept, batches, strict=True):
            kept.append(batch)
        if self.num_examples > self._most_kept:
            self._begin_folding()

    def _begin_folding(self) -> None:
        """Takes the shift of the rows that are kept, and what there are of them into blocks."""
        # The same rows give the shift however they came, so that the cut into batches changes nothing.
        shifts = [
            self._as_products(kept.mean(self._most_kept)) if shift is None else shift
            for kept, shift in zip(self._kept, self._shifts, strict=True)
        ]
        self._shifts = list(shifts)
        by_side = dict(zip(self._sides, shifts, strict=True))
        self._moments = {pair: Moments(by_side[pair[0]], by_side[pair[1]]) for pair in self._pairs}
        kept, self._kept = self._kept, []
        if all(len(set(map(len, blocks))) == 1 for blocks in zip(*kept, strict=False)):
            for batches in zip(*(rows.pop_blocks() for rows in kept), strict=True):
                self._shift_into_block(batches)
        else:
            self._shift_into_block([rows.together() for rows in kept])

    def _shift_into_block(self, batches: Sequence[np.ndarray]) -> None:
        if not self._block:
            self._block = [np.empty((_BLOCK, width), dtype=self._dtype) for width in self._widths]
        shifts = [shift.astype(self._dtype) for shift in self._shifts if shift is not None]
        start, num = 0, len(batches[0])
        while start < num:
            end = min(num, start + _BLOCK - self._num_in_block)
            into = slice(self._num_in_block, self._num_in_block + end - start)
            for block, batch, shift in zip(self._block, batches, shifts, strict=True):
                np.subtract(batch[start:end], shift, out=block[into], casting="same_kind")
            self._num_in_block = into.stop
            start = end
            if self._num_in_block == _BLOCK:
                self._fold_block()

    def _fold_block(self) -> None:
        """Folds the rows of the block, however few."""
        if self._num_in_block:
            rows = self._rows_of_block()
            for pair, moments in self._moments.items():
                moments.add(rows[pair[0]], rows[pair[1]])
            self._num_in_block = 0

    def _moments_of_block(self, pair: str) -> Moments:
        """Of the rows that wait in the block."""
        moments = Moments(self._moments[pair].shift_x, self._moments[pair].shift_y)
        if self._num_in_block:
            rows = self._rows_of_block()
            moments.add(rows[pair[0]], rows[pair[1]])
        return moments

    def _rows_of_block(self) -> dict[str, Rows]:
        """By side."""
        return {
            side: Rows.of(block[: self._num_in_block]) for side, block in zip(self._sides, self._block, strict=True)
        }

    def _kept_centred(self) -> list[Centred]:
        """Each side's rows, all of the pass while `keeps_rows`, about their mean in the dtype of the products to come.

        Raises:
            ValueError: If a side is constant.
        """
        sides = []
        for side, kept in zip(self._sides, self._kept, strict=True):
            blocks = list(kept)
            rows = blocks[0] if len(blocks) == 1 else kept.together()
            sides.append(centred_rows(self._where, side.upper(), rows, np.empty(rows.shape, dtype=self._dtype)))
        return sides

    def _as_products(self, shift: np.ndarray) -> np.ndarray:
        """A shift (d,) rounded to the products' dtype, so that float32 rows are shifted as they are; float64."""
        return shift.astype(self._dtype).astype(np.float64)
