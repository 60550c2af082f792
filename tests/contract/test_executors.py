"""What every executor promises the runner. A new one is added to EXECUTORS and passes all of this."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime

import pytest

from fake_steps import fake_job, fake_training, inline, local, ran
from tunescope.execution import JobProgress, StopAsked, run_plan
from tunescope.store import Store
from tunescope.store.record import Attempt


def _ray(store, counts):
    pytest.importorskip("ray", reason="needs Ray: pip install 'tunescope[ray]'")
    from ray_cluster import on_ray

    return on_ray(store, counts)


EXECUTORS = {"inline": inline, "local": local, "ray": _ray}
_SLOW = {"ray"}
"""A cluster takes seven seconds to start, each executor on it three more."""


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def counts(tmp_path):
    return tmp_path / "ran"


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else []) for name in sorted(EXECUTORS)]
)
def make(request, store, counts):
    """Makes an executor, as every run has its own."""
    made = []

    def one():
        made.append(EXECUTORS[request.param](store, counts))
        return made[-1]

    yield one
    for executor in made:
        executor.stop()
        executor.close()


@pytest.fixture
def executor(make):
    return make()


def _fill(executor, jobs):
    """Starts as many jobs as the executor takes; returns those it did not."""
    for position, job in enumerate(jobs):
        if not executor.accepts(job):
            return jobs[position:]
        executor.start(job)
    return []


def test_every_started_job_ends_once_and_is_whole(executor, store, counts):
    jobs = left = [fake_job(f"job{index}") for index in range(7)]
    ended = []
    while len(ended) < len(jobs):
        left = _fill(executor, left)
        ended.append(executor.wait(lambda event: None))
    assert sorted(outcome.job.label for outcome in ended) == sorted(ran(counts)) == [job.label for job in jobs]
    for outcome in ended:
        assert (outcome.status, outcome.error) == ("done", None)
        store.verify(outcome.job.kind, outcome.job.id)


def test_an_idle_executor_takes_a_job(executor):
    assert executor.accepts(fake_job("a"))


def test_a_job_that_fails_is_an_outcome_and_the_executor_goes_on(executor, store):
    bad, good = fake_job("bad", does="raise"), fake_job("good")
    executor.start(bad)
    outcome = executor.wait(lambda event: None)
    assert (outcome.job, outcome.status) == (bad, "failed")
    assert outcome.error == store.failure(bad.kind, bad.id)
    executor.start(good)
    assert executor.wait(lambda event: None).status == "done"


def test_progress_is_told_while_waiting(executor):
    job, events = fake_job("a"), []
    executor.start(job)
    executor.wait(events.append)
    (told,) = (event for event in events if isinstance(event, JobProgress))
    assert (told.job, told.progress.step) == (job, 1)


def test_waiting_for_nothing_is_a_fault(executor):
    with pytest.raises(AssertionError):
        executor.wait(lambda event: None)


def test_after_stop_nothing_is_committed_and_the_executor_is_idle(executor, store):
    slow = fake_job("slow", sleep_s=30.0)
    executor.start(slow)
    executor.stop()
    assert store.artifact(slow.kind, slow.id) is None
    assert executor.accepts(fake_job("a"))


def test_a_plan_runs_to_its_end_and_again_for_nothing(executor, store, counts):
    bases = [fake_job(f"base{index}") for index in range(3)]
    jobs = [*bases, *(fake_job(f"tuned{index}", base) for index, base in enumerate(bases)), fake_job("all", *bases)]
    assert len(run_plan(jobs, store, executor).done) == 7
    assert len(run_plan(jobs, store, executor).reused) == 7
    assert len(ran(counts)) == 7
    assert store.record("fake", jobs[-1].id).facts["read"] == {f"input{i}": f"base{i} 0\n" * 50 for i in range(3)}


def test_it_takes_as_many_jobs_at_once_as_it_has_workers(executor):
    jobs = [fake_job(f"job{index}") for index in range(executor.num_workers + 2)]
    assert len(_fill(executor, jobs)) == 2
    ended = [executor.wait(lambda event: None).job for _ in range(executor.num_workers)]
    assert sorted(job.label for job in ended) == [job.label for job in jobs[: executor.num_workers]]
    with pytest.raises(AssertionError):
        executor.wait(lambda event: None)


def test_the_worker_that_took_a_job_is_named_in_its_outcome_and_its_record(executor, store):
    job = fake_job("a")
    name = executor.start(job)
    assert executor.wait(lambda event: None).worker == name
    assert store.record(job.kind, job.id).worker == name


def test_earlier_tries_reach_the_job_and_its_record(executor, store):
    tries = tuple(
        Attempt(cause=cause, reason="", worker="", ended_at=datetime.now(UTC), duration_s=1.0)
        for cause in ("out_of_memory", "lost", "out_of_memory")
    )
    job = fake_job("a", does="tell")
    executor.start(job, tries)
    assert executor.wait(lambda event: None).status == "done"
    record = store.record(job.kind, job.id)
    assert record.attempts == tries
    assert record.facts["tokens"] == 1024  # of 4096: out of memory twice


def test_what_keeps_checkpoints_is_asked_to_stop_and_goes_on_from_there(make, store):
    executor = make()
    job, told, heard = fake_training("long", num_steps=60), [], []

    def ask(event):
        heard.append(event)
        if isinstance(event, JobProgress) and event.progress.step >= 5 and not told:
            told.append(executor.on_stop_asked())

    executor.start(job)
    outcome = executor.wait(ask)
    assert (outcome.status, outcome.error, told) == ("stopped", None, [True])
    assert [event for event in heard if isinstance(event, StopAsked)] == [StopAsked(num_under_way=1)]
    assert (store.artifact(job.kind, job.id), store.failure(job.kind, job.id)) == (None, None)
    assert run_plan([job], store, make()).exit_code == 0
    assert store.record(job.kind, job.id).facts["first_step"] >= 5


@pytest.mark.parametrize("job", [fake_job("short", does="hang"), fake_training("deaf", does="deaf", num_steps=10_000)])
def test_a_signal_ends_a_plan_and_a_second_one_at_once(executor, store, counts, job):
    later = fake_job("later", job)
    is_over = threading.Event()
    asks = threading.Thread(target=_signal_when_begun, args=(counts, job.label, is_over))
    asks.start()
    began = time.monotonic()
    summary = run_plan([job, later], store, executor)
    assert time.monotonic() - began < 8.0
    is_over.set()
    asks.join()
    assert (summary.exit_code, summary.left) == (130, (job, later))
    assert (store.artifact(job.kind, job.id), store.failure(job.kind, job.id)) == (None, None)
    assert ran(counts) == [job.label]


def _signal_when_begun(counts, label, is_over):
    while label not in ran(counts) and not is_over.wait(0.02):
        pass
    for pause_s in (0.1, 0.5) if label == "deaf" else (0.1,):
        if not is_over.wait(pause_s):  # else the signal would end the tests
            os.kill(os.getpid(), signal.SIGINT)  # a second SIGTERM so soon would count as the first one's echo
