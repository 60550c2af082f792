"""Rows of weight updates as a flat table: numbers and lists of numbers in columns of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunescope.weights.measure import Directions, UpdateRow

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = (*("update_norm", "base_norm", "relative_norm", "share_changed", "effective_rank", "stable_rank"),)
_SIDED = ("tuned_in_base", "update_in_base", "update_in_base_by_chance")
_INTRUDERS = ("intruders", "random_intruders", "same_spectrum_intruders")
_SIDES = ("left", "right")


def updates_as_table(rows: Sequence[UpdateRow]) -> pa.Table:
    """A row per parameter, with all columns however few rows there are.

    Columns: the fields of `UpdateRow`; of its directions `k`, `k_update`, `thresholds`, and for either side of the matrix
    `tuned_in_base_left`, ..., `intruders_left` (a count per threshold), `intruders_left_cosines` (of each leading direction)
    and so on. Null where there is no value, or no directions were asked for.
    """
    import pyarrow as pa

    number, numbers, counts = pa.float64(), pa.list_(pa.float64()), pa.list_(pa.int64())
    schema = pa.schema(
        [
            ("module", pa.string()),
            ("shape", counts),
            *((name, number) for name in _NUMBERS),
            ("top_singular_values", numbers),
            ("k", pa.int64()),
            ("k_update", pa.int64()),
            *((f"{name}_{side}", number) for name in _SIDED for side in _SIDES),
            ("thresholds", numbers),
            *((f"{name}_{side}", counts) for name in _INTRUDERS for side in _SIDES),
            *((f"{name}_{side}_cosines", numbers) for name in _INTRUDERS for side in _SIDES),
            ("note", pa.string()),
        ]
    )
    return pa.Table.from_pylist([_flat(row) for row in rows], schema=schema)


def _flat(row: UpdateRow) -> dict[str, Any]:
    own = {name: value for name, value in vars(row).items() if name != "directions"}
    return own if row.directions is None else own | _flat_directions(row.directions)


def _flat_directions(found: Directions) -> dict[str, Any]:
    flat: dict[str, Any] = {"k": found.k, "k_update": found.k_update, "thresholds": found.intruders.thresholds}
    for side in _SIDES:
        for name in _SIDED:
            flat[f"{name}_{side}"] = getattr(getattr(found, name), side)
        for name in _INTRUDERS:
            counted = getattr(found, name)
            flat[f"{name}_{side}"] = getattr(counted, side)
            flat[f"{name}_{side}_cosines"] = getattr(counted, f"{side}_cosines")
    return flat
