"""What a running study shows on the terminal: a line per job that ends, and where it is a terminal, a bar per job under way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, assert_never

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tunescope.execution.events import (
    Event,
    JobBlocked,
    JobEnded,
    JobProgress,
    JobRetried,
    JobStarted,
    PlanSkipped,
    StopAsked,
    WorkerSeen,
)
from tunescope.execution.outcome import Outcome
from tunescope.report.terminal.inert import inert
from tunescope.report.terminal.status import clock_shown

_QUIET_S = 30.0
"""Where it is no terminal, a job under way gets a line this often."""


@dataclass
class _UnderWay:
    """A job that has begun: its bar, and when it last had a line."""

    bar: TaskID
    last_line: float


class RunProgress:
    """Renders the events of a run; use as a context manager and pass `on_event` on.

    Args:
        console: Where to.
        clock: Seconds by a clock that never jumps.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._ended: set[str] = set()
        self._num_reused = 0
        self._num_jobs = 0
        self._under_way: dict[str, _UnderWay] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_event(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case PlanSkipped(reused=reused, num_jobs=num_jobs):
                self._num_jobs, self._num_reused = num_jobs, len(reused)
                rest = num_jobs - len(reused)
                self._print(f"{num_jobs} jobs: {len(reused)} there already, {rest} to do")
            case JobStarted(job=job, worker=worker):
                name = f"{worker}: {job.label}" if worker else job.label
                bar = self._progress.add_task(escape(inert(name)), total=None, detail="")
                self._under_way[job.id] = _UnderWay(bar=bar, last_line=self._clock())
            case JobProgress(job=job, progress=at) if (shown := self._under_way.get(job.id)) is not None:
                detail = (
                    f"{at.step}/{at.num_steps}  loss {at.loss:.4f}  {at.rate:.1f} steps/s  "
                    f"{clock_shown(at.remaining_s)} left"
                )
                self._progress.update(shown.bar, total=at.num_steps, completed=at.step, detail=detail)
                if not self._console.is_terminal and self._clock() - shown.last_line > _QUIET_S:
                    shown.last_line = self._clock()
                    self._print(f"{' ' * len(self._place())} {job.label}  {detail}")
            case JobProgress():  # of a try that has ended meanwhile
                pass
            case JobRetried(job=job, attempt=attempt, num_attempts=number):
                self._drop_bar(job.id)
                on = f" on {attempt.worker}" if attempt.worker else ""
                took = "" if attempt.duration_s is None else f" after {attempt.duration_s:.1f} s"
                cause = attempt.cause.replace("_", " ")
                told = f"{job.label}  try {number}{on} ended{took}: {cause}, to be tried again: {attempt.reason}"
                self._print(f"{' ' * len(self._place())} {told}", "yellow")
            case JobEnded(outcome=outcome):
                self._drop_bar(outcome.job.id)
                self._print_end(outcome)
            case JobBlocked(job=job, on=on_jobs):
                self._ended.add(job.id)
                names = ", ".join(one.label for one in on_jobs)
                self._print(f"{self._place()} {job.label}  not run: it needs {names}, which failed", "yellow")
            case WorkerSeen(worker=seen):
                if seen.state == "lost":
                    self._print(f"{seen.name} was lost (process {seen.pid} on {seen.host})", "yellow")
            case StopAsked(num_under_way=number):
                jobs = "1 job under way" if number == 1 else f"{number} jobs under way"
                first = f" once {jobs} ended, trainings with a checkpoint; asked once more, at once" if number else ""
                self._print(f"stopping{first}", "yellow")
            case _:
                assert_never(event)

    def _print_end(self, outcome: Outcome) -> None:
        job, took = outcome.job, f"{outcome.duration_s:.1f} s"
        if outcome.status == "stopped":
            then = "goes on from its checkpoint, if it got so far" if job.config.keeps_checkpoints else "does it anew"
            self._print(f"{' ' * len(self._place())} {job.label}  stopped after {took}; the next run {then}", "yellow")
            return
        self._ended.add(job.id)
        if outcome.error is None:
            self._print(f"{self._place()} {job.label}  {took}")
        else:
            self._print(f"{self._place()} {job.label}  FAILED after {took}: {outcome.error.reason}", "red")

    def _place(self) -> str:
        width = len(str(self._num_jobs))
        return f"[{self._num_reused + len(self._ended):>{width}}/{self._num_jobs}]"

    def _drop_bar(self, id: str) -> None:
        shown = self._under_way.pop(id, None)
        if shown is not None:
            self._progress.remove_task(shown.bar)

    def _print(self, line: str, style: str = "") -> None:
        self._console.print(inert(line), style=style, markup=False, highlight=False, soft_wrap=True)
