"""Which worker gets a job, what is kept between jobs, and what is told of workers. Their deaths: tests/fault/test_worker_death.py."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

import psutil
import pytest

from fake_steps import fake_job, fake_training, local, ran
from tunescope.errors import TunescopeError
from tunescope.execution import JobProgress, WorkerSeen, run_plan
from tunescope.store import Store
from tunescope.store.record import Attempt


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def make(tmp_path, store):
    """Makes executors, and ends them after the test."""
    made = []

    def one(num_workers=2, **limits):
        made.append(local(store, tmp_path / "ran", num_workers, **limits))
        return made[-1]

    yield one
    for executor in made:
        executor.stop()


def _run(executor, job, on_event=lambda event: None):
    name = executor.start(job)
    outcome = executor.wait(on_event)
    assert (outcome.status, outcome.worker) == ("done", name)
    return name


def _about(name, **about):
    return replace(fake_job(name), about=about)


def test_a_worker_stays_warm_from_job_to_job_and_others_do_not_start_without_need(make, store):
    executor = make(2)
    jobs = [fake_job(f"job{index}", does="tell") for index in range(3)]
    assert [_run(executor, job) for job in jobs] == ["worker 1"] * 3
    (pid,) = {store.record(job.kind, job.id).facts["pid"] for job in jobs}
    assert pid != os.getpid()


def test_a_worker_sees_its_device_and_threads(make, store):
    job = fake_job("a", does="tell")
    _run(make(1), job)
    facts = store.record(job.kind, job.id).facts
    assert facts["environment"] == {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    assert (facts["threads"], facts["device"]) == (1, "cpu")


def test_a_job_goes_to_the_idle_worker_that_knows_its_base_model_and_task(make):
    executor = make(2)
    executor.start(_about("a", base_model="m", task="rte"))
    executor.start(_about("b", base_model="m", task="sst2"))
    executor.wait(lambda event: None)
    executor.wait(lambda event: None)
    assert _run(executor, _about("c", base_model="m", task="sst2", seed=3)) == "worker 2"
    assert _run(executor, _about("d", base_model="m", task="rte", seed=3)) == "worker 1"


@pytest.mark.parametrize(
    "cause,expected", [("lost", "worker 2"), ("timeout", "worker 2"), ("out_of_memory", "worker 1")]
)
def test_a_lost_job_is_tried_elsewhere_where_there_is_an_elsewhere(make, cause, expected):
    executor = make(2)
    _run(executor, fake_job("warm"))
    attempt = Attempt(cause=cause, reason="", worker="worker 1", ended_at=datetime.now(UTC), duration_s=None)
    assert executor.start(fake_job("again"), (attempt,)) == expected
    assert executor.wait(lambda event: None).status == "done"


def test_the_only_worker_takes_a_job_that_it_lost(make):
    attempt = Attempt(cause="lost", reason="", worker="worker 1", ended_at=datetime.now(UTC), duration_s=None)
    executor = make(1)
    assert executor.start(fake_job("again"), (attempt,)) == "worker 1"
    assert executor.wait(lambda event: None).status == "done"


def test_workers_are_told_of_as_they_start_run_and_rest(make):
    executor, events = make(1), []
    job = fake_job("a", sleep_s=1.5)
    began = time.monotonic()
    _run(executor, job, events.append)
    seconds = time.monotonic() - began
    states = [event.worker for event in events if isinstance(event, WorkerSeen)]
    assert [name for name, _ in groupby(state.state for state in states)] == ["starting", "running", "idle"]
    assert {state.job_id for state in states[:-1]} == {job.id}
    assert states[-1].job_id is None
    assert {(state.name, state.device, state.host) for state in states} == {("worker 1", "cpu", os.uname().nodename)}
    assert any((state.rss_gib or 0.0) > 0.01 for state in states)
    assert len(states) <= 3 + seconds  # at every change, else once a second


def test_progress_is_told_a_few_times_a_second_and_at_the_end(make):
    events = []
    _run(make(1), fake_training("a", num_steps=100, step_s=0.01), events.append)
    steps = [event.progress.step for event in events if isinstance(event, JobProgress)]
    assert steps[0] == 1
    assert steps[-1] == 100
    assert steps == sorted(steps)
    assert 3 <= len(steps) <= 20


def test_a_job_after_the_first_costs_less_than_two_seconds(make):
    executor = make(1)
    _run(executor, fake_job("first"))
    began = time.monotonic()
    for index in range(5):
        _run(executor, fake_job(f"job{index}"))
    assert (time.monotonic() - began) / 5 < 2.0


def test_close_lets_the_workers_go(make, store):
    executor = make(2)
    jobs = [fake_job(f"job{index}", does="tell") for index in range(2)]
    for job in jobs:
        executor.start(job)
    executor.wait(lambda event: None)
    executor.wait(lambda event: None)
    pids = [store.record(job.kind, job.id).facts["pid"] for job in jobs]
    assert all(psutil.pid_exists(pid) for pid in pids)
    executor.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_worker_that_died_while_idle_is_replaced(make, store):
    executor = make(1)
    first, second = fake_job("a", does="tell"), fake_job("b", does="tell")
    _run(executor, first)
    dead = store.record(first.kind, first.id).facts["pid"]
    os.kill(dead, 9)
    time.sleep(0.1)
    _run(executor, second)
    assert store.record(second.kind, second.id).facts["pid"] != dead


def test_an_interpreter_that_cannot_start_ends_the_run_with_its_own_words(make, store, tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library: libfoo.so >&2\nexit 9\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(
        TunescopeError, match="worker 1 cannot start: 3 processes in a row ended before they were ready"
    ) as error:
        run_plan([fake_job("a")], store, make(1))
    assert "exit code 9" in str(error.value)
    assert str(error.value).endswith("no such library: libfoo.so")
    assert (store.path / "logs" / "workers" / "worker-1.log").read_text().count("libfoo") == 3


def test_the_store_can_be_locked_again_after_a_run(make, store, tmp_path):
    run_plan([fake_job("a"), fake_job("b")], store, make(2))
    began = time.monotonic()
    with Store.open(store.path, create=True).lock():
        assert time.monotonic() - began < 5.0
    assert sorted(ran(tmp_path / "ran")) == ["a", "b"]
