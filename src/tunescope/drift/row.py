"""One number of drift, and what it is of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class DriftRow:
    """One measure of one layer of two models on the same examples."""

    compared: str
    """What stands against the base model: `tuned`, a control's name, or another run."""
    state: str
    """The base model's hidden state: embeddings, block_01, ..., final_norm."""
    other_state: str
    """The other model's; the same one but in a comparison of all layer pairs."""
    pooling: str
    measure: str
    value: float | None
    """In the measure's own unit; None where it is not defined, with the reason in `note`."""
    standard_error: float | None
    """Over examples; None where none is known."""
    ci_low: float | None
    ci_high: float | None
    """95%, over examples; seeds stay the unit when methods are compared."""
    num_examples: int
    note: str
    """Why there is no value, or why it says little."""


def rows_as_table(rows: Sequence[DriftRow]) -> pa.Table:
    """A column per field."""
    import pyarrow as pa

    kinds: dict[str, Any] = {"str": pa.string(), "int": pa.int64()}
    schema = pa.schema([(field.name, kinds.get(str(field.type), pa.float64())) for field in fields(DriftRow)])
    return pa.Table.from_pylist([vars(row) for row in rows], schema=schema)


def table_as_rows(table: pa.Table) -> list[DriftRow]:
    """What `rows_as_table` was given."""
    return [DriftRow(**row) for row in table.to_pylist()]
