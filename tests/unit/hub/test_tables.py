"""The same rows from every format, and each way a file can be broken."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunescope.errors import DataError
from tunescope.hub.tables import read_table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_has_quotes_commas_line_ends_and_text_only(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", '\ufefftext,label\r\n"a, ""b""\nc",1\r\n\r\n d ,\r\n')

    table = read_table(path)

    assert table.to_pydict() == {"text": ['a, "b"\nc', " d "], "label": ["1", ""]}
    assert table.schema.types == [pa.string(), pa.string()]


def test_a_csv_value_may_be_longer_than_the_csv_modules_own_limit(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = write(tmp_path, "rows.csv", f"text,label\n{'x' * (limit + 10)},1\n")

    assert len(read_table(path)["text"][0].as_py()) == limit + 10
    assert csv.field_size_limit() == limit


def test_tsv_knows_no_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.tsv", 'text\tlabel\n"open, and so on\t0\n')

    assert read_table(path).to_pydict() == {"text": ['"open, and so on'], "label": ["0"]}


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_json_lines_keep_types_and_fill_missing_keys_with_null(tmp_path: Path, ending: str) -> None:
    rows = [{"text": "line\u2028still the same", "label": 1}, {"text": "b"}]
    path = write(tmp_path, f"rows.{ending}", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n")

    assert read_table(path).to_pylist() == [
        {"text": "line\u2028still the same", "label": 1},
        {"text": "b", "label": None},
    ]


def test_parquet_is_read_as_it_is(tmp_path: Path) -> None:
    table = pa.table(
        {"text": ["a", "b"], "answers": [{"text": ["a"], "answer_start": [0]}, {"text": [], "answer_start": []}]}
    )
    pq.write_table(table, tmp_path / "split=x.parquet")

    assert read_table(tmp_path / "split=x.parquet").equals(table)


def torn_parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a"] * 100}), sink)
    return bytes(sink.getvalue())[:-40]


def parquet_with_latin1() -> bytes:
    text = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"]).buffers())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": text}), sink)
    return bytes(sink.getvalue())


BROKEN: list[tuple[str, str | bytes, str]] = [
    ("rows.csv", b"text,label\na,1\ncaf\xe9,0\n", r"expected UTF-8, found byte 0xe9 at offset 18 \(line 3\).*iconv"),
    ("rows.jsonl", b'{"text": "\xff"}', r"0xff at offset 10 \(line 1\)"),
    ("rows.csv", "", "expected a header line, found an empty file"),
    ("rows.csv", 'text,label\n"never closed,1\nb,0\n', "line 3: not a well-formed row"),
    ("rows.csv", 'text,label\n"closed"too early,1\n', "line 2: not a well-formed row"),
    ("rows.csv", "text,label\na,1\nb,2,3\n", "ends on line 3 has 3 values, the header has 2 columns"),
    ("rows.csv", "text,text\na,1\n", "names column 'text' twice"),
    ("rows.csv", "text,,label\na,b,1\n", "the header's column 2 has no name"),
    ("rows.jsonl", "", "found an empty file"),
    ("rows.jsonl", '{"a": 1}\n{"a": ', "line 2: expected one JSON object a line, found text that is not JSON"),
    ("rows.json", '[{"a": 1}]', "line 1: expected one JSON object a line, found a list"),
    ("rows.jsonl", '{"a": 1}\n{"a": "b"}', "column 'a' does not hold values of one type"),
    ("rows.jsonl", '{"a": "\\ud800"}', "column 'a' holds text that is not Unicode"),
    ("rows.jsonl", f'{{"a": {10**30}}}', "column 'a' holds a whole number of more than 64 bits"),
    ("rows.parquet", "no parquet at all", "not a whole Parquet file"),
    ("rows.parquet", torn_parquet(), "Was it cut off while copying"),
    ("rows.parquet", parquet_with_latin1(), "not a whole Parquet file with valid UTF-8 text"),
    ("rows.xlsx", "", r"cannot tell the format from the ending '.xlsx'.*Known: .csv, .json, .jsonl, .parquet, .tsv"),
    ("rows", "", "cannot tell the format"),
]


@pytest.mark.parametrize("name, content, message", BROKEN)
def test_a_broken_file_is_refused_by_name_and_place(tmp_path: Path, name: str, content: Any, message: str) -> None:
    path = write(tmp_path, name, content)

    with pytest.raises(DataError, match=message) as caught:
        read_table(path)

    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()

    for name in ("missing.csv", "folder.csv"):
        with pytest.raises(DataError, match=f"{name}: no such file"):
            read_table(tmp_path / name)
