"""What every executor promises the runner. A new one is added to EXECUTORS and passes all of this."""

from __future__ import annotations

import pytest

from fake_steps import fake_job, inline, ran
from tunescope.execution import JobProgress, run_plan
from tunescope.store import Store

EXECUTORS = {"inline": inline}


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def counts(tmp_path):
    return tmp_path / "ran"


@pytest.fixture(params=sorted(EXECUTORS))
def executor(request, store, counts):
    return EXECUTORS[request.param](store, counts)


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
    assert [type(event) for event in events] == [JobProgress]
    assert (events[0].job, events[0].progress.step) == (job, 1)


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
