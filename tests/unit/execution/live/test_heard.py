"""What a run has been heard to do: who does what, what is left, what was tried again, and the line it leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fake_steps import fake_job
from tunescope.execution.events import (
    JobBlocked,
    JobEnded,
    JobProgress,
    JobRetried,
    JobStarted,
    PlanSkipped,
    StopAsked,
    WorkerSeen,
    WorkerState,
)
from tunescope.execution.live.heard import Heard, line_of_killed
from tunescope.execution.outcome import Outcome
from tunescope.execution.runner import Summary
from tunescope.execution.telemetry.sampling import sampling
from tunescope.store import Failure
from tunescope.store.record import Attempt
from tunescope.study.job import Resources
from tunescope.training.progress import Progress

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


class Run:
    """A run of four jobs, the fourth of which needs the third, told of event by event."""

    def __init__(self, **changed):
        self.at = 0.0
        timed = [fake_job("one"), fake_job("two"), fake_job("three")]
        timed = [replace(job, resources=Resources(predicted_s=10.0)) for job in timed]
        self.jobs = [*timed, replace(fake_job("four", timed[2]), resources=Resources(predicted_s=4.0))]
        given = {"study": "s", "executor": "local", "num_workers": 2, "shard": "1/3", "clock": lambda: self.at}
        self.heard = Heard(self.jobs, **(given | changed))
        self.take(PlanSkipped(reused=(self.jobs[0],), num_jobs=4))

    def take(self, *events):
        for event in events:
            self.heard.take(event)

    def live(self, at=0.0):
        self.at = at
        return self.heard.live()


def _seen(name, state="running", **more):
    given = {"name": name, "host": "node-b", "pid": 5, "device": "cuda:0", "state": state}
    return WorkerSeen(worker=WorkerState(**(given | more)))


def _attempt(cause="lost"):
    return Attempt(cause=cause, reason="its worker died", worker="worker 1", ended_at=MOMENT, duration_s=7.0)


def _failed(job):
    failure = Failure(label=job.label, reason="r", error="E", traceback="", log="l", failed_at=MOMENT)
    return JobEnded(outcome=Outcome(job=job, status="failed", duration_s=2.0, error=failure))


def _done(job, seconds=20.0):
    return JobEnded(outcome=Outcome(job=job, status="done", duration_s=seconds))


def test_at_the_begin():
    live = Run().live()
    assert (live.num_jobs, live.num_reused, live.num_left) == (4, 1, 3)
    assert (live.state, live.executor, live.num_workers, live.shard) == ("running", "local", 2, "1/3")
    assert live.workers == ()
    assert live.predicted_makespan_s == live.time_left.seconds == 14.0  # three and four, one after the other


def test_who_does_what():
    run = Run()
    _, two, three, _ = run.jobs
    run.take(_seen("worker 1", rss_gib=1.5), _seen("worker 2", "idle"), JobStarted(job=two, worker="worker 1"))
    run.at = 3.0
    run.take(JobProgress(job=two, progress=Progress(step=2, num_steps=8, loss=0.5, rate=4.0, remaining_s=1.5)))
    first, second = run.live(5.0).workers
    assert (first.name, first.host, first.device, first.state, first.rss_gib) == (
        *("worker 1", "node-b", "cuda:0", "running"),
        1.5,
    )
    assert (first.job.label, first.job.elapsed_s, first.job.num_attempts) == ("two", 5.0, 0)
    assert (first.job.progress.step, first.job.progress.loss, first.job.progress.remaining_s) == (2, 0.5, 1.5)
    assert (second.state, second.job) == ("idle", None)
    run.take(_done(two), JobStarted(job=three, worker="worker 3"))
    found = {worker.name: worker for worker in run.live(6.0).workers}
    assert found["worker 1"].job is None
    assert (found["worker 1"].state, found["worker 3"].job.label) == ("idle", "three")


def test_the_command_itself_at_work_says_what_this_process_holds():
    run = Run()
    run.take(JobStarted(job=run.jobs[1]))
    assert run.live().workers[0].rss_gib is None
    with sampling("cpu", 60.0):
        (worker,) = run.live().workers
    assert (worker.name, worker.state) == ("", "running")
    assert worker.rss_gib > 0.01


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_still_json(value):
    run = Run()
    progress = Progress(step=1, num_steps=2, loss=value, rate=value, remaining_s=value)
    run.take(JobStarted(job=run.jobs[1]), JobProgress(job=run.jobs[1], progress=progress))
    at = run.live().workers[0].job.progress
    assert (at.loss, at.rate, at.remaining_s) == (None, 0.0, 0.0)
    assert type(run.live()).model_validate_json(run.live().model_dump_json()).workers[0].job.progress == at


def test_a_lost_worker_and_its_job():
    run = Run()
    two = run.jobs[1]
    run.take(_seen("worker 1"), JobStarted(job=two, worker="worker 1"), _seen("worker 1", "lost"))
    run.take(JobRetried(job=two, attempt=_attempt(), num_attempts=1))
    live = run.live()
    assert (live.workers, live.num_workers_lost, live.num_retried, live.num_left) == ((), 1, 1, 3)
    (retry,) = live.retries
    assert (retry.label, retry.num_attempts, retry.cause, retry.reason) == ("two", 1, "lost", "its worker died")
    run.take(JobStarted(job=two, worker="worker 2"))
    assert run.live().workers[0].job.num_attempts == 1
    run.take(_done(two))
    assert run.live().retries == ()


def test_what_becomes_of_jobs():
    run = Run()
    _, two, three, four = run.jobs
    run.take(JobStarted(job=two), _done(two), JobStarted(job=three), _failed(three))
    run.take(JobBlocked(job=four, on=(three,)), JobBlocked(job=four, on=(three,)))
    live = run.live()
    assert (live.num_done, live.num_failed, live.num_blocked, live.num_left) == (1, 1, 1, 0)
    assert live.job_seconds == 22.0


def test_a_job_that_was_stopped_is_left():
    run = Run()
    two = run.jobs[1]
    run.take(JobStarted(job=two), StopAsked(num_under_way=1))
    assert run.live().state == "stopping"
    run.take(JobEnded(outcome=Outcome(job=two, status="stopped", duration_s=3.0)))
    live = run.live()
    assert (live.num_left, live.workers, live.job_seconds) == (3, (), 3.0)


def test_the_time_left_is_corrected_when_a_job_ends_and_runs_down_in_between():
    run = Run(num_workers=1)
    assert run.live().time_left.seconds == 24.0
    assert run.live(2.0).time_left.seconds == 22.0
    run.take(JobStarted(job=run.jobs[1]), _done(run.jobs[1], 30.0))
    assert run.live(2.0).time_left.seconds == 3.0 * 14.0
    assert run.live(6.0).time_left.seconds == 3.0 * 14.0 - 4.0


def test_at_the_end():
    run = Run()
    run.take(_seen("worker 1"), JobStarted(job=run.jobs[1], worker="worker 1"))
    run.heard.end()
    live = run.live()
    assert (live.state, live.workers, live.retries, live.time_left.seconds) == ("ended", (), (), None)


def test_sequence_grows():
    run = Run()
    assert [run.live().sequence, run.live().sequence] == [1, 2]


def test_the_line_in_the_history():
    run = Run()
    _, two, three, four = run.jobs
    run.take(
        JobStarted(job=two), JobRetried(job=two, attempt=_attempt(), num_attempts=1), JobStarted(job=two), _done(two)
    )
    summary = Summary(
        done=(two,),
        reused=(run.jobs[0],),
        failed=(),
        tolerated=(),
        blocked=(),
        left=(three, four),
        interrupted=True,
        duration_s=50.0,
        num_retried=1,
    )
    line = run.heard.line(summary)
    assert (line.done, line.reused, line.failed, line.left, line.retried) == (1, 1, 0, 2, 1)
    assert (line.duration_s, line.predicted_makespan_s, line.job_seconds) == (50.0, 14.0, 27.0)
    assert (line.interrupted, line.killed, line.executor, line.num_workers, line.shard) == (
        True,
        False,
        "local",
        2,
        "1/3",
    )


def test_the_line_of_a_run_that_was_killed():
    run = Run()
    run.take(JobStarted(job=run.jobs[1]), _done(run.jobs[1]))
    line = line_of_killed(run.live(33.0), MOMENT)
    assert (line.done, line.left, line.duration_s, line.ended_at) == (1, 2, 33.0, MOMENT)
    assert (line.interrupted, line.killed) == (True, True)


def test_jobs_that_waited_for_a_worker_are_shown_with_the_one_that_took_them():
    run = Run(executor="ray")
    run.take(*(JobStarted(job=job, worker="") for job in run.jobs[1:3]))
    run.take(_seen("node-a gpu 0", job_id=run.jobs[1].id), _seen("node-b gpu 0", job_id=run.jobs[2].id))
    assert [(worker.name, worker.job.label) for worker in run.live().workers if worker.job] == [
        ("node-a gpu 0", "two"),
        ("node-b gpu 0", "three"),
    ]
