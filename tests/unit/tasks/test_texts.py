"""Plain texts come out as they stand in their source, the same ones every time, or one error says what is wrong."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tunescope.errors import DataError
from tunescope.hub.source import Source
from tunescope.tasks.texts import TextSource, read_texts

_TEXTS = ["The cat sat.\nIt slept.", "Ein Vögelchen flog 🐦", "  a dog ran"]


@pytest.fixture
def read(tmp_path):
    """Reads a file of the study's folder, or a hub data set of a mirror."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()

    def reads(**fields) -> list[str]:
        return read_texts(TextSource(name="t", **fields), Source(mirror=mirror, study_folder=tmp_path))

    return reads


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_text_file_is_cut_at_its_blank_lines(tmp_path, read, ends, mark):
    written = "\n\n" + "\n \n\n".join(_TEXTS) + "\n"
    (tmp_path / "own.TXT").write_bytes(mark + written.replace("\n", ends).encode())
    assert read(file="own.TXT") == _TEXTS


@pytest.mark.parametrize("kind", ["parquet", "large", "jsonl", "hub"])
def test_rows_are_texts_and_blank_ones_are_left_out(tmp_path, read, kind):
    texts = ["", _TEXTS[0], " \n", *_TEXTS[1:]]
    if kind == "jsonl":
        (tmp_path / "own.jsonl").write_text("\n".join(json.dumps({"body": text, "n": 1}) for text in texts))
        assert read(file="own.jsonl", column="body") == _TEXTS
        return
    table = pa.table({"text": pa.array(texts, pa.large_string() if kind == "large" else pa.string())})
    if kind == "hub":
        folder = tmp_path / "mirror" / "datasets" / "org" / "books" / "v1"
        folder.mkdir(parents=True)
        pq.write_table(table, folder / "test-00000-of-00001.parquet")
        assert read(hub="org/books", config="v1") == _TEXTS
        with pytest.raises(DataError, match=r"data set 'org/books' .* no split 'train'"):
            read(hub="org/books", config="v1", split="train")
    else:
        pq.write_table(table, tmp_path / "own.parquet")
        assert read(file="own.parquet") == _TEXTS


def test_a_limit_takes_the_same_texts_from_any_order_and_keeps_the_sources(tmp_path, read):
    texts = [f"story {number}" for number in range(50)]
    (tmp_path / "a.txt").write_text("\n\n".join(texts))
    (tmp_path / "b.txt").write_text("\n\n".join(reversed(texts)))
    some = read(file="a.txt", max_texts=7)
    assert len(some) == 7
    assert some == sorted(some, key=texts.index) == read(file="b.txt", max_texts=7)[::-1]
    assert some != texts[:7]
    assert set(some) < set(read(file="a.txt", max_texts=8))
    assert read(file="a.txt", max_texts=50) == read(file="a.txt", max_texts=99) == texts


def test_what_is_no_text_is_told_in_one_error(tmp_path, read):
    (tmp_path / "latin.txt").write_bytes("good\n\nVögel".encode("latin1"))
    with pytest.raises(DataError, match=r"'latin.txt': expected UTF-8, found byte 0xf6 at offset 7 \(line 3\).*iconv"):
        read(file="latin.txt")
    with pytest.raises(DataError, match=r"'none.txt': cannot be read: No such file.*relative to the study file"):
        read(file="none.txt")
    with pytest.raises(DataError, match=r"none.parquet: no such file"):
        read(file="none.parquet")
    with pytest.raises(DataError, match=r"cannot tell the format from the ending '.doc'"):
        read(file="own.doc")
    (tmp_path / "rows.jsonl").write_text('{"text": "a cat", "n": 1}\n{"n": 2}\n')
    with pytest.raises(DataError, match=r"texts t: rows.jsonl: row 2 has no text in column 'text' \(it is null\)"):
        read(file="rows.jsonl")
    with pytest.raises(
        DataError, match=r"texts t: rows.jsonl has no column 'txt'. Did you mean 'text'\? Known: n, text"
    ):
        read(file="rows.jsonl", column="txt")
    with pytest.raises(DataError, match=r"column 'n' should hold text, and holds int64"):
        read(file="rows.jsonl", column="n")


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
def test_an_empty_text_file_is_no_text(tmp_path, read, content):
    (tmp_path / "empty.txt").write_text(content)
    with pytest.raises(DataError, match=r"texts t: empty.txt is empty"):
        read(file="empty.txt")


@pytest.mark.parametrize("values", [[], ["", " "], [None, None]])
def test_rows_without_a_word_are_no_text(tmp_path, read, values):
    pq.write_table(
        pa.table({"text": pa.array(values, None if None in values else pa.string())}), tmp_path / "e.parquet"
    )
    with pytest.raises(DataError, match=r"texts t: e.parquet is empty"):
        read(file="e.parquet")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({}, "give either 'hub' or 'file'"),
        ({"hub": "org/books", "file": "a.txt"}, "give either 'hub' or 'file'"),
        ({"file": "a.jsonl", "config": "v1"}, "belong to 'hub'"),
        ({"file": "a.jsonl", "split": "train"}, "belong to 'hub'"),
        ({"file": "a.txt", "column": "body"}, "a .txt file has no columns"),
        ({"file": "a.txt", "max_texts": 0}, "greater than or equal to 1"),
        ({"file": "a.txt", "columns": "text"}, "Extra inputs"),
    ],
)
def test_what_does_not_go_together_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        TextSource(name="t", **fields)


@pytest.mark.parametrize("fields", [{"file": "a.txt"}, {"hub": "org/books", "split": "validation", "revision": "abc"}])
def test_a_record_of_it_reads_back(fields):
    texts = TextSource(name="t", **fields)
    assert TextSource.model_validate_json(texts.model_dump_json()) == texts
