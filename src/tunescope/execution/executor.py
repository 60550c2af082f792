"""Where jobs run: in this process, in others of this machine, or on a cluster."""

from __future__ import annotations

from typing import Protocol

from tunescope.execution.events import OnEvent
from tunescope.execution.outcome import Outcome
from tunescope.store.record import Attempt
from tunescope.study.job import Job


class Executor(Protocol):
    """Runs jobs whose inputs are whole. The runner decides which are ready, the executor how many run at once and where.

    The runner asks `accepts`, calls `start` for each job taken, and `wait` while any is under way. An executor tries a job
    once: whether to try again is the runner's to say.
    """

    @property
    def num_workers(self) -> int:
        """How many jobs may run at once."""
        ...

    def accepts(self, job: Job) -> bool:
        """Whether there is room for this job now. With nothing under way, some ready job must be accepted."""
        ...

    def start(self, job: Job, attempts: tuple[Attempt, ...] = ()) -> str:
        """Takes a job that was accepted. Its inputs are whole in the store.

        Args:
            job: What to do.
            attempts: Earlier tries of it in this run: the next one is made elsewhere, if it was lost and there is an elsewhere.

        Returns:
            The worker's name; empty where the command does it itself.
        """
        ...

    def wait(self, on_event: OnEvent) -> Outcome:
        """Waits until one of the started jobs has ended, passing on the progress of all of them meanwhile.

        Once it was told that the run is to stop, it tells `StopAsked` before it waits for checkpoints: whoever asked sees that
        it was heard.

        A job's own error is an outcome, and so is the death of its worker. KeyboardInterrupt passes through; any other
        exception is a fault of the executor.
        """
        ...

    def on_stop_asked(self) -> bool:
        """Told, inside a signal handler, that the run is to stop; only sets a flag.

        Returns:
            Whether what is under way will end by itself soon, with its checkpoint written; else the handler interrupts it.
        """
        ...

    def stop(self) -> None:
        """Ends what is under way at once. Nothing half-written is committed, work folders stay for a resume."""
        ...

    def close(self) -> None:
        """Lets idle workers go, at the end of a run. The executor is not used again."""
        ...
