"""Tries that fail and are made again, and runs that are asked to stop while jobs are under way."""

from __future__ import annotations

import os
import signal
from collections import deque

import pytest

from fake_steps import fake_job
from tunescope.execution import JobEnded, JobRetried, Outcome, StopAsked, order_of, run_plan
from tunescope.execution.worker import lost
from tunescope.store import Store


class Scripted:
    """Two jobs at once; each try ends as the script says: a cause of failure, "done" or "stopped"."""

    num_workers = 2

    def __init__(self, store, script, before_wait=lambda: None, gently=True):
        self.store, self.script, self.before_wait, self.gently = store, script, before_wait, gently
        self.under_way, self.tries, self.calls = deque(), [], []

    def accepts(self, job):
        return len(self.under_way) < 2

    def start(self, job, attempts=()):
        self.under_way.append((job, attempts))
        self.tries.append((job.label, order_of(job, attempts).share))
        return f"worker {len(self.under_way)}"

    def wait(self, on_event):
        self.before_wait()
        job, attempts = self.under_way.popleft()
        ends = self.script.get(job.label, ["done"])
        end = ends.pop(0) if len(ends) > 1 else ends[0]
        if end in ("done", "stopped"):
            return Outcome(job=job, status=end, duration_s=1.0, worker="w")
        ended = lost(order_of(job, attempts), self.store, cause=end, reason="seen", worker="w", duration_s=2.0)
        return Outcome(job=job, status="failed", duration_s=2.0, error=ended.error, worker="w")

    def on_stop_asked(self):
        self.calls.append("asked")
        return self.gently

    def stop(self):
        self.calls.append("stop")
        self.under_way.clear()

    def close(self):
        self.calls.append("close")


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


def _labels(outcomes):
    return [outcome.job.label for outcome in outcomes]


def test_a_lost_job_is_tried_again_and_done(store):
    events = []
    executor = Scripted(store, {"a": ["lost", "lost", "done"]})
    summary = run_plan([fake_job("a"), fake_job("b")], store, executor, events.append)
    assert sorted(job.label for job in summary.done) == ["a", "b"]
    assert (summary.failed, summary.num_retried, summary.exit_code) == ((), 2, 0)
    told = [event for event in events if isinstance(event, JobRetried)]
    assert [(event.job.label, event.attempt.cause, event.num_attempts) for event in told] == [
        ("a", "lost", 1),
        ("a", "lost", 2),
    ]
    assert executor.calls == ["close"]


def test_a_job_lost_too_often_has_failed_and_blocks_what_needs_it(store):
    a = fake_job("a")
    executor = Scripted(store, {"a": ["lost"]})
    summary = run_plan([a, fake_job("after", a), fake_job("b")], store, executor)
    assert [label for label, _ in executor.tries].count("a") == 3
    assert _labels(summary.failed) == ["a"]
    assert [blocked.job.label for blocked in summary.blocked] == ["after"]
    assert summary.failed[0].error.attempts[0].cause == "lost"
    assert len(summary.failed[0].error.attempts) == 2


def test_out_of_memory_halves_the_share_each_time(store):
    executor = Scripted(store, {"a": ["out_of_memory", "out_of_memory", "done"]})
    run_plan([fake_job("a")], store, executor)
    assert executor.tries == [("a", 1.0), ("a", 0.5), ("a", 0.25)]


@pytest.mark.parametrize("cause", ["not_finite", "disk", "code"])
def test_what_would_come_again_fails_at_once_and_the_rest_goes_on(store, cause):
    executor = Scripted(store, {"a": [cause]})
    summary = run_plan([fake_job("a"), fake_job("b")], store, executor)
    assert (_labels(summary.failed), [job.label for job in summary.done]) == (["a"], ["b"])
    assert len(executor.tries) == 2


def test_the_share_is_kept_across_runs_that_were_cut_off(store):
    def killed():
        if len(executor.tries) == 3:
            raise KeyboardInterrupt

    executor = Scripted(store, {"a": ["out_of_memory", "out_of_memory", "done"]}, before_wait=killed)
    assert run_plan([fake_job("a")], store, executor).exit_code == 130
    again = Scripted(store, {})
    run_plan([fake_job("a")], store, again)
    assert again.tries == [("a", 0.25)]


def test_a_run_that_is_asked_to_stop_waits_for_what_is_under_way_and_starts_nothing(store):
    def ask():
        if not executor.calls:
            os.kill(os.getpid(), signal.SIGTERM)

    events = []
    executor = Scripted(store, {"a": ["stopped"], "b": ["done"]}, before_wait=ask)
    summary = run_plan([fake_job("a"), fake_job("b"), fake_job("c")], store, executor, events.append)
    assert [job.label for job in summary.done] == ["b"]
    assert sorted(job.label for job in summary.left) == ["a", "c"]
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    assert sorted(label for label, _ in executor.tries) == ["a", "b"]
    assert executor.calls == ["asked", "stop", "close"]
    assert [event.num_under_way for event in events if isinstance(event, StopAsked)] == [1]
    assert [event.outcome.status for event in events if isinstance(event, JobEnded)] == ["stopped", "done"]


def test_asked_twice_it_stops_at_once(store):
    def ask():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)

    executor = Scripted(store, {}, before_wait=ask)
    summary = run_plan([fake_job("a"), fake_job("b")], store, executor)
    assert (summary.interrupted, summary.done) == (True, ())
    assert executor.calls == ["asked", "stop", "close"]


def test_a_retry_is_not_started_once_the_run_is_to_stop(store):
    def ask():
        if not executor.calls:
            os.kill(os.getpid(), signal.SIGTERM)

    executor = Scripted(store, {"a": ["lost"]}, before_wait=ask)
    summary = run_plan([fake_job("a")], store, executor)
    assert ([job.label for job in summary.left], len(executor.tries)) == (["a"], 1)
