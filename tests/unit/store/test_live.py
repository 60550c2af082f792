"""What a reader believes of STORE/live.json: torn, absent, fresh, old, of the future, of a process that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from tunescope.errors import StoreError
from tunescope.store.live import LOOK_AGAIN_S, STALE_AFTER_S, Live, TimeLeft, look, process_key, read_live


def _live(**changed):
    given = {
        "format": 1,
        "study": "s",
        "command": "tunescope run s.yaml",
        "host": "node-a",
        "pid": 77,
        "process": "another boot/1/77/5",
        "sequence": 4,
        "state": "running",
        "started_at": datetime(2026, 1, 2, tzinfo=UTC),
        "elapsed_s": 60.0,
        "executor": "local",
        "num_workers": 2,
        "shard": None,
        "num_jobs": 9,
        "num_reused": 2,
        "num_done": 3,
        "num_failed": 1,
        "num_blocked": 1,
        "num_retried": 0,
        "num_workers_lost": 0,
        "job_seconds": 10.0,
        "predicted_makespan_s": None,
        "time_left": TimeLeft(seconds=None, why="x"),
        "workers": (),
        "retries": (),
        "tunescope": "0.1.0",
    }
    return Live(**(given | changed))


class Time:
    """Clocks and a sleep that a test turns by hand."""

    def __init__(self, path, *, age_s):
        self._start = path.stat().st_mtime + age_s
        self.waited_s = 0.0
        self.at_sleep = lambda: None

    def look(self, path):
        return look(path, now=lambda: self._start + self.waited_s, clock=lambda: self.waited_s, sleep=self._sleep)

    def _sleep(self, seconds):
        self.waited_s += seconds
        self.at_sleep()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "live.json"


def _write(path, **changed):
    path.write_text(_live(**changed).model_dump_json(), encoding="utf-8")
    return path


def test_absent(path):
    assert read_live(path) is None
    assert look(path) is None


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}', "[]", "\x00\x00"])
def test_torn(path, content):
    path.write_text(content, encoding="utf-8")
    with pytest.raises(StoreError, match=r"live\.json cannot be read .*torn"):
        look(path)


def test_of_another_version(path):
    path.write_text(_live().model_dump_json().replace('"format":1', '"format":2'), encoding="utf-8")
    with pytest.raises(StoreError, match="another version"):
        look(path)


def test_jobs_left():
    assert _live().num_left == 2


def test_a_fresh_file_of_another_machine_is_a_sign_of_life(path):
    times = Time(_write(path), age_s=30.0)
    seen = times.look(path)
    assert (seen.driver, seen.age_s, seen.is_running, times.waited_s) == ("alive", pytest.approx(30.0), True, 0.0)


def test_an_old_file_that_nobody_writes_is_silent(path):
    times = Time(_write(path), age_s=180.0)
    seen = times.look(path)
    assert (seen.driver, seen.is_running) == ("silent", False)
    assert seen.age_s == pytest.approx(180.0)
    assert times.waited_s >= LOOK_AGAIN_S


@pytest.mark.parametrize("age_s", [-7200.0, 7200.0, STALE_AFTER_S + 1.0])
def test_clocks_that_disagree_hide_no_live_run(path, age_s):
    times = Time(_write(path), age_s=age_s)
    times.at_sleep = lambda: _write(path, sequence=5)
    seen = times.look(path)
    assert (seen.driver, seen.age_s, seen.live.sequence) == ("alive", 0.0, 5)
    assert times.waited_s < LOOK_AGAIN_S


def test_a_file_from_the_future_that_nobody_writes_is_silent_for_as_long_as_was_waited(path):
    times = Time(_write(path), age_s=-7200.0)
    seen = times.look(path)
    assert seen.driver == "silent"
    assert LOOK_AGAIN_S <= seen.age_s < 2 * LOOK_AGAIN_S


def test_an_age_a_little_below_zero_is_now(path):
    assert Time(_write(path), age_s=-1.0).look(path).age_s == 0.0


def test_a_run_that_ended_said_so(path):
    seen = Time(_write(path, state="ended"), age_s=99.0).look(path)
    assert (seen.driver, seen.is_running) == ("ended", False)


def test_it_may_end_while_it_is_looked_at(path):
    times = Time(_write(path), age_s=500.0)
    times.at_sleep = lambda: _write(path, sequence=5, state="ended")
    assert times.look(path).driver == "ended"


needs_proc = pytest.mark.skipif(process_key(os.getpid()) is None, reason="no /proc on this system")


@needs_proc
def test_on_the_same_machine_no_clock_is_asked(path):
    here = {"pid": os.getpid(), "process": process_key(os.getpid())}
    times = Time(_write(path, **here), age_s=10.0)
    assert times.look(path).driver == "alive"
    times = Time(_write(path, **here), age_s=300.0)
    seen = times.look(path)
    assert (seen.driver, seen.is_running) == ("quiet", True)
    assert seen.age_s == pytest.approx(300.0)


@needs_proc
def test_a_process_that_is_gone_is_gone_at_once(path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    key = process_key(child.pid)
    assert key is not None
    assert key == process_key(child.pid)
    child.kill()
    deadline = time.monotonic() + 10.0
    while process_key(child.pid) is not None and time.monotonic() < deadline:  # a zombie counts as gone
        time.sleep(0.01)
    seen = look(_write(path, pid=child.pid, process=key))
    child.wait()
    assert (seen.driver, seen.is_running) == ("gone", False)


@needs_proc
def test_another_process_of_the_same_number_is_not_it(path):
    key = process_key(os.getpid())
    old = key.rpartition("/")[0] + "/1"
    assert look(_write(path, pid=os.getpid(), process=old)).driver == "gone"
