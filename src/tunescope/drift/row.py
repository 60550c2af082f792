"""One number of drift, and what it is of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from tunescope.similarity.jackknife import Jackknife

LAYER_PAIRS = "layer_pairs"
"""What the debiased linear CKA of all layer pairs is called in rows."""
NOT_POSITIVE = "not defined: a self-term is not positive"
"""Why a CKA has no value though its states vary."""


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


def layer_row(
    compared: str,
    state: str,
    pooling: str,
    measure: str,
    *,
    num_examples: int,
    other_state: str | None = None,
    value: float | None = None,
    interval: Jackknife | None = None,
    notes: Sequence[str] = (),
) -> DriftRow:
    """A row of one layer; of another one of the other model where `other_state` says so."""
    return DriftRow(
        compared=compared,
        state=state,
        other_state=other_state or state,
        pooling=pooling,
        measure=measure,
        value=value,
        standard_error=None if interval is None else interval.standard_error,
        ci_low=None if interval is None else interval.ci_low,
        ci_high=None if interval is None else interval.ci_high,
        num_examples=num_examples,
        note="; ".join(note for note in notes if note),
    )


def rows_as_table(rows: Sequence[DriftRow]) -> pa.Table:
    """A column per field."""
    import pyarrow as pa

    kinds: dict[str, Any] = {"str": pa.string(), "int": pa.int64()}
    schema = pa.schema([(field.name, kinds.get(str(field.type), pa.float64())) for field in fields(DriftRow)])
    return pa.Table.from_pylist([vars(row) for row in rows], schema=schema)


def table_as_rows(table: pa.Table) -> list[DriftRow]:
    """What `rows_as_table` was given."""
    return [DriftRow(**row) for row in table.to_pylist()]
