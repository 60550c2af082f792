"""Tables for programs: CSV, JSON lines, Parquet; and the same text that a terminal shows, in a file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunescope.errors import TunescopeError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["table", "csv", "json", "parquet"]

_BY_SUFFIX: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".parquet": "parquet",
    ".txt": "table",
}


def output_format(asked: Format | None, file: Path | None) -> Format:
    """The format that was asked for, else the one that a file's name ends in, else a table for people.

    Raises:
        TunescopeError: If neither tells.
    """
    if asked is not None or file is None:
        return asked or "table"
    form = _BY_SUFFIX.get(file.suffix.lower())
    if form is None:
        raise TunescopeError(
            f"--output {file}: its ending '{file.suffix}' names no format. {did_you_mean(file.suffix, _BY_SUFFIX)} "
            "Rename it, or say --format."
        )
    return form


def encoded(table: pa.Table, form: Format) -> bytes:
    """An Arrow table as CSV, JSON lines or Parquet."""
    import pyarrow.csv
    import pyarrow.parquet

    if form == "json":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()).encode()
    buffer = io.BytesIO()
    if form == "csv":
        pyarrow.csv.write_csv(table, buffer)
    else:
        pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def told_in_cells(table: pa.Table, form: Format) -> pa.Table:
    """The table itself, or for CSV, whose cells hold no lists, with each list as JSON text."""
    import pyarrow as pa

    if form != "csv":
        return table
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [None if value is None else json.dumps(value) for value in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    return table
