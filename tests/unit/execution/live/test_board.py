"""A run tells STORE/live.json of itself: whole at any moment, also while nothing happens, and at no cost when it cannot."""

from __future__ import annotations

import logging
import os
import time

import pytest

from fake_steps import fake_job, inline
from tunescope.execution import run_plan
from tunescope.execution.events import JobEnded, JobStarted, PlanSkipped
from tunescope.execution.live.board import LiveBoard
from tunescope.store import Store
from tunescope.store.history import read_runs
from tunescope.store.layout import Layout
from tunescope.store.live import Live, look, read_live


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "store", create=True)
    opened.studies.save("s", "name: s\n", [], {})
    return opened


def _board(store, jobs, **more):
    return LiveBoard(store, jobs, study="s", executor="inline", num_workers=1, **more)


def _file(store):
    return Layout(root=store.path).live


def _until(check):
    deadline = time.monotonic() + 20.0
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_a_real_run_is_told_of_while_it_runs_and_when_it_has_ended(store, tmp_path):
    jobs = [fake_job("one"), fake_job("two")]
    told = []

    def on_event(event):
        board.on_event(event)
        if isinstance(event, JobStarted):
            _until(lambda: any(worker.job for worker in read_live(_file(store)).workers))
            told.append(look(_file(store)))
        if isinstance(event, JobEnded):
            _until(lambda: not read_live(_file(store)).workers)

    with store.lock(), _board(store, jobs, interval_s=0.0) as board:
        summary = run_plan(jobs, store, inline(store, tmp_path / "counts"), on_event)
        board.keep_history(summary)
    assert [seen.live.workers[0].job.label for seen in told] == ["one", "two"]
    assert {seen.driver for seen in told} == {"alive"}
    assert [seen.live.num_done for seen in told] == [0, 1]
    after = read_live(_file(store))
    assert (after.state, after.num_done, after.workers) == ("ended", 2, ())
    (line,), num_torn = read_runs(Layout(root=store.path).runs("s"))
    assert (line.done, line.left, line.interrupted, line.executor, num_torn) == (2, 0, False, "inline", 0)
    assert not list(store.path.glob(".tmp-*"))


def test_signs_of_life_while_nothing_happens(store, monkeypatch):
    monkeypatch.setattr("tunescope.execution.live.board.HEARTBEAT_S", 0.01)
    with _board(store, [fake_job("one")], interval_s=0.0):
        first = read_live(_file(store)).sequence
        _until(lambda: read_live(_file(store)).sequence > first + 3)


def test_many_events_are_one_writing(store):
    with _board(store, [fake_job("one")], interval_s=60.0) as board:
        for _ in range(500):
            board.on_event(PlanSkipped(reused=(), num_jobs=1))
        time.sleep(0.1)
        assert read_live(_file(store)).sequence <= 2


def test_it_is_whole_at_any_moment(store, monkeypatch):
    monkeypatch.setattr("tunescope.execution.live.board.HEARTBEAT_S", 0.0)
    with _board(store, [fake_job(str(number)) for number in range(50)], interval_s=0.0):
        for _ in range(300):
            assert Live.model_validate_json(_file(store).read_bytes()).num_jobs == 50


def test_a_failed_write_never_fails_a_run_and_is_told_once(store, tmp_path, monkeypatch, caplog):
    jobs = [fake_job("one"), fake_job("two")]
    replaced = os.replace

    def full(source, target):
        if str(target).endswith("live.json"):
            raise OSError(28, "No space left on device")
        replaced(source, target)

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr("tunescope.execution.live.board.append_run", lambda *_: full("", "live.json"))
    with caplog.at_level(logging.WARNING), _board(store, jobs, interval_s=0.0) as board:
        summary = run_plan(jobs, store, inline(store, tmp_path / "counts"), board.on_event)
        board.keep_history(summary)
    assert summary.exit_code == 0
    told = [record.getMessage() for record in caplog.records if "live.json" in record.getMessage()]
    assert len(told) == 1
    assert "No space left on device" in told[0]
    assert not list(store.path.glob(".tmp-live*"))


def test_an_error_of_the_run_passes_and_the_run_has_ended(store):
    with pytest.raises(KeyError), _board(store, [fake_job("one")]):
        raise KeyError("x")
    assert read_live(_file(store)).state == "ended"


def test_a_run_that_is_interrupted_while_it_stops_has_its_line(store):
    with pytest.raises(KeyboardInterrupt), _board(store, [fake_job("one"), fake_job("two")]):
        raise KeyboardInterrupt
    (line,), _ = read_runs(Layout(root=store.path).runs("s"))
    assert (line.killed, line.interrupted, line.left) == (False, True, 2)


def test_a_run_that_was_killed_gets_its_line_from_the_next(store):
    killed = _board(store, [fake_job("one"), fake_job("two")])
    killed._write()
    with _board(store, [fake_job("one")]):
        pass
    (line,), _ = read_runs(Layout(root=store.path).runs("s"))
    assert (line.killed, line.interrupted, line.left) == (True, True, 2)
    with _board(store, [fake_job("one")]):
        pass
    assert len(read_runs(Layout(root=store.path).runs("s"))[0]) == 1


def test_a_torn_file_of_an_earlier_run_is_written_anew(store):
    _file(store).write_text("{", encoding="utf-8")
    with _board(store, [fake_job("one")]):
        assert read_live(_file(store)).state == "running"
    assert read_runs(Layout(root=store.path).runs("s")) == ([], 0)
