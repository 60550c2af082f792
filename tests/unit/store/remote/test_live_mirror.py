"""What runs now, seen from another machine that has only the URL (here: file://)."""

from __future__ import annotations

import logging
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest

from tunescope.store import Store
from tunescope.store.live import Live, TimeLeft, look, read_live
from tunescope.store.remote.live_mirror import LiveMirror
from tunescope.store.remote.storage import RemoteStore, cache_folder
from tunescope.store.remote.working_copy import reading_copy, working_copy


def _live(sequence, *, state="running", age_s=0.0):
    return Live(
        format=1,
        study="glue",
        command="tunescope run glue.yaml",
        host="far",
        pid=1,
        process="another-boot/1/1/1",
        sequence=sequence,
        state=state,
        started_at=datetime.now(UTC) - timedelta(seconds=age_s + 5.0),
        elapsed_s=5.0,
        executor="ray",
        num_workers=3,
        shard=None,
        num_jobs=9,
        num_reused=0,
        num_done=sequence,
        num_failed=0,
        num_blocked=0,
        num_retried=0,
        num_workers_lost=0,
        job_seconds=1.0,
        predicted_makespan_s=None,
        time_left=TimeLeft(seconds=None, why="nothing known"),
        workers=(),
        retries=(),
        tunescope="0.1.0",
    )


@pytest.fixture
def url(tmp_path):
    return f"file://{tmp_path}/bucket/glue"


@pytest.fixture
def here(tmp_path):
    return Store.open(tmp_path / "here", create=True)


def _elsewhere(url, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    return reading_copy(url).layout.live


def test_another_machine_sees_what_runs_and_that_it_ended(url, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "driver"))
    with working_copy(url, create=True) as (store, remote), LiveMirror(remote, store, every_s=0.02):
        store.layout.live.write_text(_live(1).model_dump_json(), encoding="utf-8")
        deadline = time.monotonic() + 20.0
        while remote.read("live.json") is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        seen = look(_elsewhere(url, tmp_path, monkeypatch))
        assert (seen.driver, seen.live.num_done) == ("alive", 1)
        store.layout.live.write_text(_live(2, state="ended").model_dump_json(), encoding="utf-8")
    seen = look(_elsewhere(url, tmp_path, monkeypatch))
    assert (seen.driver, seen.live.num_done) == ("ended", 2)


def test_a_run_killed_long_ago_is_not_taken_for_alive_because_it_was_fetched_now(url, tmp_path, monkeypatch):
    RemoteStore.open(url, create=True).write("live.json", _live(1, age_s=3600.0).model_dump_json().encode())
    path = _elsewhere(url, tmp_path, monkeypatch)
    assert time.time() - path.stat().st_mtime == pytest.approx(3600.0, abs=30.0)
    clock = iter(range(100))
    assert look(path, clock=lambda: float(next(clock)), sleep=lambda seconds: None).driver == "silent"


def test_what_is_torn_there_is_told_as_it_would_be_here(url, tmp_path, monkeypatch):
    RemoteStore.open(url, create=True).write("live.json", b'{"format": 1, "stu')
    with pytest.raises(Exception, match="it is torn, or another version of tunescope wrote it"):
        read_live(_elsewhere(url, tmp_path, monkeypatch))


def test_storage_that_refuses_is_told_once_and_fails_nothing(url, here, caplog, tmp_path):
    remote = RemoteStore.open(url, create=True)
    shutil.rmtree(tmp_path / "bucket")
    (tmp_path / "bucket").write_text("no folder")
    with caplog.at_level(logging.WARNING), LiveMirror(remote, here, every_s=0.01):
        for number in (1, 2, 3):
            here.layout.live.write_text(_live(number).model_dump_json(), encoding="utf-8")
            time.sleep(0.05)
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("other machines do not see what runs now: ")


def test_an_earlier_runs_state_is_not_sent_over_a_newer_one(url, here):
    remote = RemoteStore.open(url, create=True)
    here.layout.live.write_text(_live(1).model_dump_json(), encoding="utf-8")
    remote.write("live.json", b"newer")
    with LiveMirror(remote, here):
        pass
    assert remote.read("live.json") == b"newer"


def test_the_copy_is_of_this_machine(url, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    RemoteStore.open(url, create=True).write("live.json", _live(1).model_dump_json().encode())
    reading_copy(url)
    assert (cache_folder(url) / "live.json").is_file()
