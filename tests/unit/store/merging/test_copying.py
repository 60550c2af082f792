"""Files are copied with what was read of them, and an artifact only as its record says."""

from __future__ import annotations

import os

import pytest

from tunescope.store.identity import content_id
from tunescope.store.merging.copying import copy_artifact, copy_file
from tunescope.store.record import Record
from tunescope.store.whole import NotWholeError, file_entry


def test_a_file_with_its_hash_and_time(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(bytes(range(256)) * 9000)  # more than two blocks
    os.utime(source, ns=(5, 1_700_000_000_123_456_789))
    assert copy_file(source, target) == file_entry(source, sync=False)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mtime_ns == 1_700_000_000_123_456_789


def test_what_is_there_is_not_written_over(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("mine")
    with pytest.raises(FileExistsError):
        copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"


def test_what_cannot_be_read_is_said_of_the_source(tmp_path):
    with pytest.raises(NotWholeError, match="absent cannot be read: No such file"):
        copy_file(tmp_path / "absent", tmp_path / "b")


def _artifact(folder):
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    record = Record(
        format=1,
        kind="fake",
        id=content_id("fake", {"x": 1}, {}),
        label="one",
        config={"x": 1},
        inputs={},
        files={"a.txt": file_entry(folder / "a.txt", sync=False)},
        facts={},
        versions={},
        python="3",
        commit=None,
        dirty=None,
        machine={"hostname": "h", "system": "s", "processor": "p", "num_cores": 1, "memory_gib": 1.0, "gpus": []},
        started_at="2026-01-01T00:00:00Z",
        duration_s=1.0,
        peak_memory_gib=1.0,
        peak_memory_covers="job",
    )
    (folder / "record.json").write_text(record.model_dump_json())
    return record


def test_a_record_that_changes_while_it_is_read_is_not_kept(tmp_path):
    record = _artifact(tmp_path / "a")
    num_bytes = copy_artifact(tmp_path / "a", record, tmp_path / "b")
    assert num_bytes == 5 + (tmp_path / "a" / "record.json").stat().st_size
    changed = record.model_copy(update={"facts": {"loss": 1.0}})
    (tmp_path / "a" / "record.json").write_text(changed.model_dump_json())
    with pytest.raises(NotWholeError, match=r"record.json changed while it was read"):
        copy_artifact(tmp_path / "a", record, tmp_path / "c")
