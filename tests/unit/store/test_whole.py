"""Files of a folder, hashed."""

from __future__ import annotations

import hashlib
import os

import pytest

from tunescope.store.whole import NotWholeError, file_entry, plain_files, read_record


def test_hash_and_size_of_a_file_of_several_blocks(tmp_path):
    content = os.urandom(3 * (1 << 20) + 17)
    (tmp_path / "a").write_bytes(content)
    entry = file_entry(tmp_path / "a", sync=True)
    assert (entry.num_bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_files_are_found_in_folders_and_sorted(tmp_path):
    for name in ("b", "a/c", "a/b/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert plain_files(tmp_path) == ["a/b/d", "a/c", "b"]


@pytest.mark.parametrize("target", ["/etc", "/etc/hostname", "nowhere"])
def test_links_are_refused(tmp_path, target):
    os.symlink(target, tmp_path / "link")
    with pytest.raises(NotWholeError, match="link is a link or device"):
        plain_files(tmp_path)


def test_a_missing_record_is_said_to_be_missing(tmp_path):
    with pytest.raises(NotWholeError, match=r"record\.json is missing"):
        read_record(tmp_path)
