"""Atomic writes: whole or not at all, and a full disk in words."""

from __future__ import annotations

import errno
import os

import pytest

from tunescope.errors import StoreError
from tunescope.store.atomic import write_json, write_text


def test_replaces_a_file_and_leaves_nothing_beside_it(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    write_text(tmp_path / "a.txt", "new é\n")
    assert (tmp_path / "a.txt").read_bytes() == "new é\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nan_is_no_json(tmp_path):
    with pytest.raises(StoreError, match=r"^jobs\[0\]: nan cannot be kept as JSON"):
        write_json(tmp_path / "a.json", {"jobs": [float("nan")]})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "number,words",
    [
        (errno.ENOSPC, r"the disk is full \([\d,.]+ MiB free\)\. Free some space"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "is on a read-only file system"),
        (errno.EACCES, "is not writable"),
        (errno.EIO, r"the disk reports an input/output error\. Mend that or name a store on another disk"),
        (errno.EFBIG, r"the file is larger than this process or the file system allows \(`ulimit -f`"),
    ],
)
def test_a_failing_disk_is_told_in_words_and_the_old_file_stays(tmp_path, monkeypatch, number, words):
    write_text(tmp_path / "a.txt", "old")

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=words) as error:
        write_text(tmp_path / "a.txt", "new")
    assert str(tmp_path) in str(error.value)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_other_errors_pass(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "absent" / "a.txt", "x")
