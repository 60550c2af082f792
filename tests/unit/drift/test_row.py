"""Rows to a table and back, without a value too."""

from __future__ import annotations

import numpy as np

from tunescope.drift.row import layer_row, rows_as_table, table_as_rows
from tunescope.similarity.jackknife import interval


def test_rows_come_back_from_their_table():
    found = interval(2.0, np.array([1.9, 2.0, 2.1]))
    rows = [
        layer_row(
            "tuned", "block_01", "mean", "cosine", num_examples=3, value=2.0, interval=found, notes=("", "a", "b")
        ),
        layer_row("tuned", "block_01", "mean", "layer_pairs", other_state="block_02", num_examples=3, notes=("why",)),
    ]
    assert rows[0].note == "a; b"
    assert (rows[0].ci_low, rows[0].standard_error) == (found.ci_low, found.standard_error)
    assert (rows[1].state, rows[1].other_state, rows[1].value) == ("block_01", "block_02", None)
    assert table_as_rows(rows_as_table(rows)) == rows


def test_no_rows_have_all_columns_and_columns_without_a_value_their_type():
    empty = rows_as_table([])
    assert empty.num_rows == 0
    one = rows_as_table([layer_row("a", "block_01", "mean", "cosine", num_examples=1)])
    assert empty.schema == one.schema
    assert [str(one.schema.field(name).type) for name in ("compared", "value", "num_examples", "note")] == [
        *("string", "double", "int64", "string")
    ]
