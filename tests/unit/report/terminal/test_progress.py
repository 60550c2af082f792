"""What a run shows: a line a job that ends, its place among all, and what failed or could not run."""

from __future__ import annotations

import contextlib
import io

from rich.console import Console

from fake_steps import fake_job, fake_training
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
from tunescope.execution.outcome import Outcome
from tunescope.report.terminal.progress import RunProgress
from tunescope.store import Failure
from tunescope.store.record import Attempt
from tunescope.training.progress import Progress

_NAMES = ("one", "two [bold]x[/bold]", "three")


def _events():
    one, two, three = (fake_job(name) for name in _NAMES)
    reason = "broke \x1b[31mred [red]x[/red]"
    failure = Failure(
        label="two", reason=reason, error="E", traceback="", log="l", failed_at="2026-01-01T00:00:00+00:00"
    )
    yield PlanSkipped(reused=(one,), num_jobs=4)
    yield JobStarted(job=fake_job("four"))
    yield JobProgress(
        job=fake_job("four"), progress=Progress(step=1, num_steps=2, loss=0.5, rate=4.0, remaining_s=75.0)
    )
    yield JobEnded(outcome=Outcome(job=fake_job("four"), status="done", duration_s=1.25))
    yield JobStarted(job=two)
    yield JobEnded(outcome=Outcome(job=two, status="failed", duration_s=2.0, error=failure))
    yield JobBlocked(job=three, on=(two,))


def _shown(*, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=120)
    with RunProgress(console) as progress:
        for event in _events():
            progress.on_event(event)
    return console.file.getvalue()


def test_a_line_a_job_with_its_place():
    assert _shown(terminal=False).splitlines() == [
        "4 jobs: 1 there already, 3 to do",
        "[2/4] four  1.2 s",
        "[3/4] two [bold]x[/bold]  FAILED after 2.0 s: broke \\x1b[31mred [red]x[/red]",
        "[4/4] three  not run: it needs two [bold]x[/bold], which failed",
    ]


def test_on_a_terminal_the_same_lines_stand_and_the_bar_is_gone_at_the_end():
    shown = _shown(terminal=True)
    for line in _shown(terminal=False).splitlines():
        assert line in shown
    assert "\x1b[31m" not in shown


def test_a_bar_never_outlives_an_error():
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None)
    with contextlib.suppress(KeyboardInterrupt), RunProgress(console) as progress:
        progress.on_event(JobStarted(job=fake_job("one")))
        raise KeyboardInterrupt
    shown = console.file.getvalue()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is shown again


def _progress(step=3):
    return Progress(step=step, num_steps=8, loss=0.5, rate=4.0, remaining_s=75.0)


def _lines(*events, terminal=False, clock=lambda: 0.0):
    console = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=120)
    with RunProgress(console, clock) as progress:
        for event in events:
            progress.on_event(event)
        bars = [(task.description, task.completed, task.total) for task in progress._progress.tasks]
    return console.file.getvalue().splitlines(), bars


def test_a_bar_for_each_job_under_way():
    one, two = fake_job("one"), fake_job("two")
    _, bars = _lines(
        PlanSkipped(reused=(), num_jobs=9),
        JobStarted(job=one, worker="worker 1"),
        JobStarted(job=two, worker="node-b [gpu] 0"),
        JobProgress(job=two, progress=_progress()),
        terminal=True,
    )
    assert bars == [("worker 1: one", 0, None), ("node-b \\[gpu] 0: two", 3, 8)]


def test_jobs_end_in_any_order_each_with_its_bar():
    one, two = fake_job("one"), fake_job("two")
    lines, bars = _lines(
        PlanSkipped(reused=(), num_jobs=12),
        JobStarted(job=one, worker="worker 1"),
        JobStarted(job=two, worker="worker 2"),
        JobEnded(outcome=Outcome(job=two, status="done", duration_s=12.34)),
    )
    assert lines[-1] == "[ 1/12] two  12.3 s"
    assert [name for name, _, _ in bars] == ["worker 1: one"]


def test_progress_of_a_try_that_has_ended_is_nothing():
    lines, bars = _lines(PlanSkipped(reused=(), num_jobs=1), JobProgress(job=fake_job("one"), progress=_progress()))
    assert (len(lines), bars) == (1, [])


def test_where_it_is_no_terminal_each_job_has_a_line_now_and_then():
    one, two = fake_job("one"), fake_job("two")
    times = iter([0.0, 10.0, 35.0, 35.0, 45.0, 45.0, 45.0])
    lines, _ = _lines(
        PlanSkipped(reused=(), num_jobs=2),
        JobStarted(job=one, worker="w1"),
        JobStarted(job=two, worker="w2"),
        JobProgress(job=one, progress=_progress(3)),
        JobProgress(job=one, progress=_progress(4)),
        JobProgress(job=two, progress=_progress(5)),
        clock=lambda: next(times),
    )
    assert lines[1:] == [
        "      one  3/8  loss 0.5000  4.0 steps/s  1:15 left",
        "      two  5/8  loss 0.5000  4.0 steps/s  1:15 left",
    ]


def test_a_try_that_is_followed_by_another_says_why():
    job = fake_job("one")
    attempt = Attempt(
        cause="out_of_memory",
        reason="full \x1b[31m",
        worker="worker 1",
        ended_at="2026-01-01T00:00:00Z",
        duration_s=7.0,
    )
    lines, bars = _lines(
        PlanSkipped(reused=(), num_jobs=2),
        JobStarted(job=job, worker="worker 1"),
        JobRetried(job=job, attempt=attempt, num_attempts=1),
    )
    assert lines[-1] == (
        "      one  try 1 on worker 1 ended after 7.0 s: out of memory, to be tried again: full \\x1b[31m"
    )
    assert bars == []


def test_lost_workers_and_a_stop():
    job = fake_job("one")
    gone = WorkerState(name="worker 1", host="node-a", pid=7, device="cpu", state="lost")
    lines, _ = _lines(
        PlanSkipped(reused=(), num_jobs=2),
        JobStarted(job=job, worker="worker 1"),
        WorkerSeen(worker=gone),
        WorkerSeen(worker=WorkerState(name="worker 2", host="node-a", pid=8, device="cpu", state="idle")),
        StopAsked(num_under_way=1),
        JobEnded(outcome=Outcome(job=job, status="stopped", duration_s=4.0)),
        JobEnded(outcome=Outcome(job=fake_training("two"), status="stopped", duration_s=5.0)),
        StopAsked(num_under_way=0),
    )
    assert lines[1:] == [
        "worker 1 was lost (process 7 on node-a)",
        "stopping once 1 job under way ended, trainings with a checkpoint; asked once more, at once",
        "      one  stopped after 4.0 s; the next run does it anew",
        "      two  stopped after 5.0 s; the next run goes on from its checkpoint, if it got so far",
        "stopping",
    ]


def test_a_job_that_is_blocked_twice_counts_once():
    one, two, three = fake_job("one"), fake_job("two"), fake_job("three")
    lines, _ = _lines(
        PlanSkipped(reused=(), num_jobs=3),
        JobBlocked(job=three, on=(one,)),
        JobBlocked(job=three, on=(one, two)),
    )
    assert [line.split()[0] for line in lines[1:]] == ["[1/3]", "[1/3]"]
