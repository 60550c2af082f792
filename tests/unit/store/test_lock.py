"""One holder at a time, and who it is. A second process stands in tests/fault/test_store_faults.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tunescope.errors import StoreError
from tunescope.store.lock import command_line, descriptor_held, held, is_held


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path):
    with (
        held(tmp_path / "lock"),
        pytest.raises(StoreError, match=rf"in use by process {os.getpid()} on .+ since \d{{4}}-") as error,
        held(tmp_path / "lock"),
    ):
        pass
    assert "Wait until it has ended, or stop it" in str(error.value)


def test_it_is_free_again_after_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="inside"), held(tmp_path / "lock"):
        raise RuntimeError("inside")
    with held(tmp_path / "lock"):
        assert (tmp_path / "lock").stat().st_size > 0
    assert (tmp_path / "lock").read_text() == ""


def test_a_command_is_told_without_its_values():
    words = ["/x/tunescope", "run", "my study.yaml", "--set", "tracker.key=secret", "--store=/s"]
    assert command_line(words) == "tunescope run 'my study.yaml' --set tracker.key=... --store=..."
    assert command_line([]) == "python"


def _in_another_process(path, then):
    """Takes the lock in a process that starts a second one, which has the descriptor too, and ends; returns the second's pid."""
    code = f"""
import os, subprocess, sys
from pathlib import Path
from tunescope.store.lock import descriptor_held, held
with held(Path({str(path)!r})):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep({then})"], pass_fds=[descriptor_held(Path({str(path)!r}))], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    os._exit(0)
"""
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return int(said.stdout)


def test_who_finds_a_dead_holder_waits_until_its_workers_are_gone(tmp_path):
    _in_another_process(tmp_path / "lock", 1.0)
    began = time.monotonic()
    with held(tmp_path / "lock"):
        assert 0.1 < time.monotonic() - began < 10.0


def test_workers_that_do_not_go_are_told_of(tmp_path):
    pid = _in_another_process(tmp_path / "lock", 30.0)
    with (
        pytest.raises(
            StoreError, match="That process has ended, but one that it started holds the store still"
        ) as error,
        held(tmp_path / "lock", patience_s=0.3),
    ):
        pass
    assert "pgrep -fl tunescope.execution.local.serve" in str(error.value)
    os.kill(pid, signal.SIGKILL)
    with held(tmp_path / "lock"):
        pass


def test_a_holder_of_another_host_is_believed_at_once(tmp_path):
    with held(tmp_path / "lock"):
        dead = {"pid": 2**22 + 1, "host": "elsewhere", "since": "2026", "command": "tunescope run"}
        (tmp_path / "lock").write_text(json.dumps(dead))
        began = time.monotonic()
        with pytest.raises(StoreError, match="on elsewhere since 2026: tunescope run"), held(tmp_path / "lock"):
            pass
        assert time.monotonic() - began < 2.0


def test_a_holder_without_a_name_yet_is_waited_for(tmp_path):
    with held(tmp_path / "lock"):
        (tmp_path / "lock").write_text("")
        began = time.monotonic()
        with (
            pytest.raises(StoreError, match="a process that is just starting or ending"),
            held(tmp_path / "lock", patience_s=0.2),
        ):
            pass
        assert time.monotonic() - began >= 0.2


def test_the_descriptor_is_known_while_the_lock_is_held(tmp_path):
    assert descriptor_held(tmp_path / "lock") is None
    with held(tmp_path / "lock"):
        assert os.fstat(descriptor_held(tmp_path / "lock")).st_ino == (tmp_path / "lock").stat().st_ino
        assert descriptor_held(tmp_path / "other") is None
    assert descriptor_held(tmp_path / "lock") is None


def test_who_only_looks_sees_whether_it_is_held(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path)
    with held(path):
        assert is_held(path)
    assert not is_held(path)
    with held(path):  # looking took nothing
        pass
