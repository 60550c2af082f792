from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tunescope.errors import StoreError
from tunescope.store.aside import folder_aside, put_in_place

_WRITER = """
import sys, time
from pathlib import Path
from tunescope.store.aside import folder_aside
with folder_aside(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("")
    print(folder.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def target(tmp_path):
    return tmp_path / "demo"


@pytest.fixture
def writer(target):
    """Another process in the middle of writing, and the name of its folder."""
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(target)], text=True, stdout=subprocess.PIPE) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def _write(target, text):
    with folder_aside(target) as folder:
        (folder / "page").write_text(text)
        if text == "broken":
            raise ValueError(text)
        put_in_place(folder, target)


def test_the_new_one_takes_the_place_of_the_old_and_nothing_else_is_left(target):
    _write(target, "one")
    _write(target, "two")
    assert os.listdir(target.parent) == ["demo"]
    assert (target / "page").read_text() == "two"
    assert target.stat().st_mode & 0o777 == target.parent.stat().st_mode & 0o777


def test_what_fails_leaves_the_old_one(target):
    _write(target, "one")
    with pytest.raises(ValueError, match="broken"):
        _write(target, "broken")
    assert os.listdir(target.parent) == ["demo"]
    assert (target / "page").read_text() == "one"


def test_what_cannot_be_put_there_leaves_the_old_one(target, monkeypatch):
    _write(target, "one")
    rename = os.rename

    def refused(source, goal):
        if not str(source).endswith("-old") and goal == target:
            raise OSError(5, "Input/output error")
        rename(source, goal)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(StoreError, match=r"demo cannot be replaced: Input/output error\. The old one is still there"):
        _write(target, "two")
    assert (target / "page").read_text() == "one"


def test_what_a_killed_writer_left_goes_with_the_next_one(target, writer):
    process, name = writer
    process.send_signal(signal.SIGKILL)
    process.wait()
    (target.parent / f"{name}-old").mkdir()  # as if it had been killed between its two renames
    assert (target.parent / name / "half").exists()
    _write(target, "one")
    assert os.listdir(target.parent) == ["demo"]


def test_another_writer_is_left_alone(target, writer):
    _, name = writer
    (target.parent / f"{name}-old").mkdir()
    _write(target, "one")
    assert sorted(os.listdir(target.parent)) == sorted(["demo", name, f"{name}-old"])
