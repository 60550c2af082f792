"""How a folder becomes a store, and what does not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tunescope.errors import StoreError
from tunescope.store.layout import open_layout


def test_a_new_folder_becomes_a_store_and_opens_again(tmp_path):
    open_layout(tmp_path / "a" / "b", create=True)
    assert json.loads((tmp_path / "a" / "b" / "store.json").read_text()) == {"format": 1}
    assert open_layout(tmp_path / "a" / "b", create=False).root == tmp_path / "a" / "b"


def test_an_empty_folder_becomes_one_also_after_a_crash_while_making_it(tmp_path):
    (tmp_path / ".tmp-store.json-99").write_text('{"for')
    open_layout(tmp_path, create=True)
    assert (tmp_path / "store.json").is_file()


def test_without_create_nothing_is_written(tmp_path):
    with pytest.raises(StoreError, match=r"there is no store at .*make it with `tunescope run`"):
        open_layout(tmp_path / "absent", create=False)
    assert os.listdir(tmp_path) == []


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is a file: expected a folder"):
        open_layout(tmp_path / "file", create=True)
    with pytest.raises(StoreError, match="a part of the path is a file"):
        open_layout(tmp_path / "file" / "store", create=True)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="not empty: name a new or empty folder"):
        open_layout(tmp_path, create=True)
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize(
    "text,words",
    [('{"format": 7}', "has format 7, and this tunescope reads format 1"), ('{"form', "is torn"), ("[]", "is torn")],
)
def test_an_unknown_format_is_refused(tmp_path, text, words):
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(StoreError, match=words):
        open_layout(tmp_path, create=False)


def test_files_that_are_not_ours_are_no_artifacts(tmp_path):
    layout = open_layout(tmp_path, create=True)
    for path in ("artifacts/train/.DS_Store", "artifacts/.DS_Store", "work/notes.txt", "failures/train-12.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    layout.artifact("train", "0" * 16).mkdir()
    assert layout.artifact_keys() == layout.known_keys() == [("train", "0" * 16)]


def test_a_link_to_nothing_and_a_place_where_nothing_can_be_made(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(StoreError, match="cannot be made: it is a link to what is not there"):
        open_layout(tmp_path / "link", create=True)
    with pytest.raises(StoreError, match="cannot be made: the file system refuses new folders there"):
        open_layout(Path("/proc/x/y"), create=True)
