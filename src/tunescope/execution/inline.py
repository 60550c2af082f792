"""Jobs one by one in this process: no parallel work, and nothing between an error and its traceback."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace

from tunescope.execution.events import JobProgress, OnEvent
from tunescope.execution.outcome import Outcome
from tunescope.execution.worker import run_job
from tunescope.steps.context import Progress, Step, StepContext
from tunescope.store import Store
from tunescope.study.job import Job


class InlineExecutor:
    """Runs a job while the runner waits for it.

    Args:
        store: Where artifacts are kept.
        steps: Kind of job -> the step that does it.
        context: Given to every step, with `report` replaced by one that tells the runner.
    """

    def __init__(self, store: Store, steps: Mapping[str, Step], context: StepContext) -> None:
        self._store = store
        self._steps = steps
        self._context = context
        self._next: Job | None = None

    def accepts(self, job: Job) -> bool:
        return self._next is None

    def start(self, job: Job) -> None:
        assert self._next is None, "an inline executor runs one job at a time"
        self._next = job

    def wait(self, on_event: OnEvent) -> Outcome:
        assert self._next is not None, "no job was started"
        job, self._next = self._next, None

        def report(progress: Progress) -> None:
            on_event(JobProgress(job=job, progress=progress))

        try:
            return run_job(job, self._store, self._steps[job.kind], replace(self._context, report=report))
        finally:
            gc.collect()  # models hold cycles: without this the next job's peak memory holds this one's weights

    def stop(self) -> None:
        self._next = None
