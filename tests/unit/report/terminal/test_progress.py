"""What a run shows: a line a job that ends, its place among all, and what failed or could not run."""

from __future__ import annotations

import contextlib
import io

from rich.console import Console

from fake_steps import fake_job
from tunescope.execution.events import JobBlocked, JobEnded, JobProgress, JobStarted, PlanSkipped
from tunescope.execution.outcome import Outcome
from tunescope.report.terminal.progress import RunProgress
from tunescope.store import Failure
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
