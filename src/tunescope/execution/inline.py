"""Jobs one by one in this process: no parallel work, and nothing between an error and its traceback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tunescope.execution.cycles import CycleCollector
from tunescope.execution.events import JobProgress, OnEvent, StopAsked
from tunescope.execution.order import order_of
from tunescope.execution.outcome import Outcome
from tunescope.execution.worker import run_job
from tunescope.steps.context import Progress, Step, StepContext
from tunescope.store import Store
from tunescope.store.record import Attempt
from tunescope.study.job import Job


class InlineExecutor:
    """Runs a job while the runner waits for it.

    Args:
        store: Where artifacts are kept.
        steps: Kind of job -> the step that does it.
        context: Given to every step, with `report` replaced by one that tells the runner, and `should_stop` by one that asks it.
    """

    num_workers = 1

    def __init__(self, store: Store, steps: Mapping[str, Step], context: StepContext) -> None:
        self._store = store
        self._steps = steps
        self._context = context
        self._cycles = CycleCollector()
        self._next: tuple[Job, tuple[Attempt, ...]] | None = None
        self._keeps_checkpoints = False
        self._is_stopping = self._is_stop_told = False

    def accepts(self, job: Job) -> bool:
        return self._next is None

    def start(self, job: Job, attempts: tuple[Attempt, ...] = ()) -> str:
        assert self._next is None, "an inline executor runs one job at a time"
        self._next = (job, attempts)
        return ""

    def wait(self, on_event: OnEvent) -> Outcome:
        assert self._next is not None, "no job was started"
        (job, attempts), self._next = self._next, None

        def report(progress: Progress) -> None:
            on_event(JobProgress(job=job, progress=progress))

        def should_stop() -> bool:
            if self._is_stopping and not self._is_stop_told:
                self._is_stop_told = True
                on_event(StopAsked(num_under_way=1))
            return self._is_stopping

        context = replace(self._context, report=report, should_stop=should_stop)
        try:
            self._keeps_checkpoints = job.config.keeps_checkpoints
            ended = run_job(order_of(job, attempts), self._store, self._steps[job.kind], context)
            return Outcome(job=job, status=ended.status, duration_s=ended.duration_s, error=ended.error)
        finally:
            self._keeps_checkpoints = False
            self._cycles.collect()

    def on_stop_asked(self) -> bool:
        self._is_stopping = True
        return self._keeps_checkpoints

    def stop(self) -> None:
        self._next = None

    def close(self) -> None:
        assert self._next is None, "a job was started and not waited for"
        self._cycles.close()
