"""One file of rows, read whole into an Arrow table; what cannot be read is refused with its place in the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunescope.errors import DataError, did_you_mean


def read_table(path: Path) -> pa.Table:
    """All rows of a CSV, TSV, JSON-lines or Parquet file, in the file's order.

    The ending of the name decides:

    - `.csv`: first line the header, RFC 4180 quotes, so a quoted value may hold commas and line ends.
    - `.tsv`: first line the header, no quoting at all (a quote is a quote), as GLUE's own files are written.
    - `.jsonl`, `.json`: one JSON object a line; a key that a line lacks is null there.
    - `.parquet`: as it is.

    CSV and TSV columns are all text: only a task knows which of them is a number. Text files are UTF-8, with or without
    a byte order mark; blank lines are skipped.

    Returns:
        A table whose text is known to be valid UTF-8.

    Raises:
        DataError: If the file is missing, unreadable, torn, not UTF-8, has no header, or a row does not fit it.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(
            f"{path}: cannot tell the format from the ending '{path.suffix}'. {did_you_mean(path.suffix, _READERS)}"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file. Check the path; it is relative to the study file.")
    try:
        return read(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}.") from error


def _read_csv(path: Path) -> pa.Table:
    return _read_separated(path, csv.reader, strict=True)


def _read_tsv(path: Path) -> pa.Table:
    return _read_separated(path, csv.reader, delimiter="\t", quoting=csv.QUOTE_NONE)


def _read_separated(path: Path, reader: Callable[..., Any], **dialect: Any) -> pa.Table:
    text = _read_text(path)
    # A long value is the task's to refuse (`max_characters`), with its row; the csv module's limit is one for the process.
    limit = csv.field_size_limit(max(len(text), 1))
    lines = reader(io.StringIO(text, newline=""), **dialect)
    try:
        rows = [(lines.line_num, row) for row in lines if row]
    except csv.Error as error:
        raise DataError(
            f"{path}: line {lines.line_num}: not a well-formed row: {error}. "
            "A quote inside a quoted value is written twice, and every quote is closed."
        ) from error
    finally:
        csv.field_size_limit(limit)
    if not rows:
        raise DataError(f"{path}: expected a header line, found an empty file.")
    header = rows.pop(0)[1]
    for place, name in enumerate(header):
        if not name.strip():
            raise DataError(f"{path}: the header's column {place + 1} has no name. Is the first line the header?")
        if name in header[:place]:
            raise DataError(f"{path}: the header names column '{name}' twice.")
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path}: the row that ends on line {line} has {len(row)} values, the header has {len(header)} columns. "
                "Quote values that hold the separator."
            )
    columns = list(zip(*(row for _, row in rows), strict=True)) or [()] * len(header)
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(header, columns, strict=True)})


def _read_json_lines(path: Path) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}: line {number}: expected one JSON object a line, found text that is not JSON: {error}."
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number}: expected one JSON object a line, found a {type(row).__name__}.")
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: expected one JSON object a line, found an empty file.")
    columns: dict[str, pa.Array] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            columns[name] = pa.array([row.get(name) for row in rows])
        except OverflowError as error:
            raise DataError(f"{path}: column '{name}' holds a whole number of more than 64 bits: {error}.") from error
        except UnicodeEncodeError as error:
            raise DataError(
                f"{path}: column '{name}' holds text that is not Unicode (half of a surrogate pair): {error}."
            ) from error
        except (pa.ArrowException, ValueError) as error:
            raise DataError(f"{path}: column '{name}' does not hold values of one type: {error}.") from error
    return pa.table(columns)


def _read_parquet(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: not a whole Parquet file with valid UTF-8 text: {error}. Was it cut off while copying?"
        ) from error
    return table


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: expected UTF-8, found byte 0x{data[error.start]:02x} at offset {error.start} (line {line}). "
            f"Convert it, for example: iconv -f latin1 -t utf-8 {path.name}"
        ) from error


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".json": _read_json_lines,
    ".parquet": _read_parquet,
}
