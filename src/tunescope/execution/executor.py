"""Where jobs run: in this process, in others of this machine, or on a cluster."""

from __future__ import annotations

from typing import Protocol

from tunescope.execution.events import OnEvent
from tunescope.execution.outcome import Outcome
from tunescope.study.job import Job


class Executor(Protocol):
    """Runs jobs whose inputs are whole. The runner decides which are ready, the executor how many run at once and where.

    The runner asks `accepts`, calls `start` for each job taken, and `wait` while any is under way.
    """

    def accepts(self, job: Job) -> bool:
        """Whether there is room for this job now. With nothing under way, some ready job must be accepted."""
        ...

    def start(self, job: Job) -> None:
        """Takes a job that was accepted. Its inputs are whole in the store."""
        ...

    def wait(self, on_event: OnEvent) -> Outcome:
        """Waits until one of the started jobs has ended, passing on the progress of all of them meanwhile.

        A job's own error is an outcome. KeyboardInterrupt passes through; any other exception is a fault of the executor.
        """
        ...

    def stop(self) -> None:
        """Ends what is under way within seconds. Nothing half-written is committed, work folders stay for a resume."""
        ...
