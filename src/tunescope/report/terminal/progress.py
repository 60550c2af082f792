"""What a running study shows on the terminal: a line per job that ends, and where it is a terminal, a bar that moves."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tunescope.execution.events import Event, JobBlocked, JobEnded, JobProgress, JobStarted, PlanSkipped
from tunescope.report.terminal.inert import inert

_QUIET_S = 30.0


class RunProgress:
    """Renders the events of a run; use as a context manager and pass `on_event` on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ended = 0
        self._num_jobs = 0
        self._started = 0.0
        self._last_line = 0.0
        self._bar: TaskID | None = None
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
                self._num_jobs, self._ended = num_jobs, len(reused)
                rest = num_jobs - len(reused)
                self._print(f"{num_jobs} jobs: {len(reused)} there already, {rest} to do")
            case JobStarted(job=job):
                self._started = self._last_line = time.monotonic()
                self._bar = self._progress.add_task(escape(inert(job.label)), total=None, detail="")
            case JobProgress(job=job, progress=at):
                detail = f"{at.step}/{at.num_steps}  loss {at.loss:.4f}  {at.rate:.1f} steps/s  {_clock(at.remaining_s)} left"
                if self._bar is not None:
                    self._progress.update(self._bar, total=at.num_steps, completed=at.step, detail=detail)
                if not self._console.is_terminal and time.monotonic() - self._last_line > _QUIET_S:
                    self._last_line = time.monotonic()
                    self._print(f"{self._place(1)} {job.label}  {detail}")
            case JobEnded(outcome=outcome):
                self._ended += 1
                self._drop_bar()
                took = f"{outcome.duration_s:.1f} s"
                if outcome.error is None:
                    self._print(f"{self._place()} {outcome.job.label}  {took}")
                else:
                    self._print(
                        f"{self._place()} {outcome.job.label}  FAILED after {took}: {outcome.error.reason}", "red"
                    )
            case JobBlocked(job=job, on=on):
                self._ended += 1
                names = ", ".join(one.label for one in on)
                self._print(f"{self._place()} {job.label}  not run: it needs {names}, which failed", "yellow")

    def _place(self, ahead: int = 0) -> str:
        width = len(str(self._num_jobs))
        return f"[{self._ended + ahead:>{width}}/{self._num_jobs}]"

    def _drop_bar(self) -> None:
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None

    def _print(self, line: str, style: str = "") -> None:
        self._console.print(inert(line), style=style, markup=False, highlight=False, soft_wrap=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
