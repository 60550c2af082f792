"""What a run has been heard to do, event by event, and what is to be said of it at any moment."""

from __future__ import annotations

import math
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal, assert_never

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
    WorkerState,
)
from tunescope.execution.live.time_left import Measured, UnderWay, time_left
from tunescope.execution.runner import Summary, in_order
from tunescope.execution.telemetry.sampling import latest_reading
from tunescope.store.history import RunLine
from tunescope.store.live import Live, LiveJob, LiveProgress, LiveRetry, LiveWorker, TimeLeft, process_key
from tunescope.store.lock import command_line
from tunescope.study.job import Job
from tunescope.training.progress import Progress

_PREDICT_EVERY_S = 5.0


@dataclass
class _Try:
    """A try under way."""

    job: Job
    worker: str
    since: float
    progress: Progress | None = None


class Heard:
    """Takes events, and makes a `Live` or a `RunLine` of what they told. Not safe for threads: `LiveBoard` guards it.

    Args:
        jobs: Of the run, with predictions where there are any.
        study: Name of the study.
        executor: "inline", "local", "ray".
        num_workers: The executor's.
        shard: "1/3" of a run with --shard.
        clock: Seconds by a clock that never jumps.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        study: str,
        executor: str,
        num_workers: int,
        shard: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._jobs = in_order(jobs)
        self._study, self._executor, self._num_workers, self._shard = study, executor, num_workers, shard
        self._clock = clock
        self._began, self._started_at = clock(), datetime.now(UTC)
        self._host, self._pid, self._process = socket.gethostname(), os.getpid(), process_key(os.getpid())
        self._state: Literal["running", "stopping", "ended"] = "running"
        self._sequence = 0
        self._tries: dict[str, _Try] = {}
        self._workers: dict[str, WorkerState] = {}
        self._num_workers_lost = 0
        self._retries: dict[str, LiveRetry] = {}
        self._num_retried = 0
        self._reused: set[str] = set()
        self._done: set[str] = set()
        self._failed: set[str] = set()
        self._blocked: set[str] = set()
        self._job_seconds = 0.0
        self._measured = Measured()
        self._predicted_s: float | None = None
        self._time_left: tuple[float, TimeLeft] | None = None

    def take(self, event: Event) -> None:
        """Takes one event."""
        match event:
            case PlanSkipped(reused=reused):
                self._reused = {job.id for job in reused}
                self._predicted_s = time_left(self._left(), {}, Measured(), self._num_workers).seconds
            case JobStarted(job=job, worker=worker):
                self._tries[job.id] = _Try(job=job, worker=worker, since=self._clock())
            case JobProgress(job=job, progress=progress):
                if (known := self._tries.get(job.id)) is not None:
                    known.progress = progress
            case JobRetried(job=job, attempt=attempt, num_attempts=number):
                self._tries.pop(job.id, None)
                self._retries[job.id] = LiveRetry(
                    kind=job.kind,
                    id=job.id,
                    label=job.label,
                    num_attempts=number,
                    cause=attempt.cause,
                    reason=attempt.reason,
                )
                self._num_retried += 1
                self._job_seconds += attempt.duration_s or 0.0
            case JobEnded(outcome=outcome):
                job = outcome.job
                self._tries.pop(job.id, None)
                self._retries.pop(job.id, None)
                self._job_seconds += outcome.duration_s
                if outcome.status == "done":
                    self._done.add(job.id)
                    self._measured.add(job, outcome.duration_s)
                elif outcome.status == "failed":
                    self._failed.add(job.id)
                self._time_left = None
            case JobBlocked(job=job):
                self._blocked.add(job.id)
            case WorkerSeen(worker=seen):
                if seen.state == "lost":
                    self._num_workers_lost += 1
                    self._workers.pop(seen.name, None)
                else:
                    self._workers[seen.name] = seen
                    if (given := self._tries.get(seen.job_id or "")) is not None:
                        given.worker = seen.name  # a job may have been started before there was a worker for it
            case StopAsked():
                self._state = "stopping"
            case _:
                assert_never(event)

    def end(self) -> None:
        """Nothing is under way any more."""
        self._state = "ended"
        self._tries.clear()
        self._workers.clear()
        self._retries.clear()

    def live(self) -> Live:
        """What is to be said now."""
        self._sequence += 1
        at = self._clock()
        return Live(
            format=1,
            study=self._study,
            command=command_line(sys.argv),
            host=self._host,
            pid=self._pid,
            process=self._process,
            sequence=self._sequence,
            state=self._state,
            started_at=self._started_at,
            elapsed_s=at - self._began,
            executor=self._executor,
            num_workers=self._num_workers,
            shard=self._shard,
            num_jobs=len(self._jobs),
            num_reused=len(self._reused),
            num_done=len(self._done),
            num_failed=len(self._failed),
            num_blocked=len(self._blocked),
            num_retried=self._num_retried,
            num_workers_lost=self._num_workers_lost,
            job_seconds=self._job_seconds,
            predicted_makespan_s=self._predicted_s,
            time_left=self._predict(at),
            workers=tuple(self._live_workers(at)),
            retries=tuple(self._retries.values()),
            tunescope=version("tunescope"),
        )

    def line(self, summary: Summary) -> RunLine:
        """The run's line in the history, once it has ended."""
        return RunLine(
            started_at=self._started_at,
            ended_at=datetime.now(UTC),
            duration_s=summary.duration_s,
            executor=self._executor,
            num_workers=self._num_workers,
            shard=self._shard,
            predicted_makespan_s=self._predicted_s,
            job_seconds=self._job_seconds,
            done=len(summary.done),
            reused=len(summary.reused),
            failed=len(summary.failed) + len(summary.tolerated),
            blocked=len(summary.blocked),
            left=len(summary.left),
            retried=summary.num_retried,
            interrupted=summary.interrupted,
            host=self._host,
            tunescope=version("tunescope"),
        )

    def _live_workers(self, at: float) -> Iterator[LiveWorker]:
        """The workers that told of themselves, and those that were given a job and have not yet."""
        by_worker = {one.worker: one for one in self._tries.values()}
        for name in sorted({*self._workers, *by_worker}):
            seen, doing = self._workers.get(name), by_worker.get(name)
            rss, gpu_memory, utilisation = _in_use(name, seen)
            state: Literal["starting", "idle", "running"] = "running" if doing else "idle"
            if doing is None and seen is not None and seen.state == "starting":
                state = "starting"
            yield LiveWorker(
                name=name,
                host=self._host if seen is None else seen.host,
                pid=self._pid if seen is None else seen.pid,
                device="" if seen is None else seen.device,
                state=state,
                job=None if doing is None else self._live_job(doing, at),
                rss_gib=rss,
                gpu_memory_gib=gpu_memory,
                gpu_utilisation_percent=utilisation,
            )

    def _live_job(self, doing: _Try, at: float) -> LiveJob:
        retry, now = self._retries.get(doing.job.id), doing.progress
        return LiveJob(
            kind=doing.job.kind,
            id=doing.job.id,
            label=doing.job.label,
            elapsed_s=at - doing.since,
            num_attempts=0 if retry is None else retry.num_attempts,
            progress=None
            if now is None
            else LiveProgress(
                step=now.step,
                num_steps=now.num_steps,
                loss=now.loss if math.isfinite(now.loss) else None,
                rate=_not_negative(now.rate),
                remaining_s=_not_negative(now.remaining_s),
            ),
        )

    def _predict(self, at: float) -> TimeLeft:
        """As `time_left`; made anew when a job has ended, and every few seconds."""
        if self._state == "ended":
            return TimeLeft(seconds=None, why="the run has ended")
        if self._time_left is None or at - self._time_left[0] > _PREDICT_EVERY_S:
            under_way = {
                id: UnderWay(
                    elapsed_s=at - one.since,
                    remaining_s=None if one.progress is None else _not_negative(one.progress.remaining_s),
                )
                for id, one in self._tries.items()
            }
            self._time_left = (at, time_left(self._left(), under_way, self._measured, self._num_workers))
        made, predicted = self._time_left
        if predicted.seconds is None:
            return predicted
        return TimeLeft(seconds=max(0.0, predicted.seconds - (at - made)), why=predicted.why)

    def _left(self) -> list[Job]:
        ended = self._reused | self._done | self._failed | self._blocked
        return [job for job in self._jobs if job.id not in ended]


def line_of_killed(live: Live, last_sign: datetime) -> RunLine:
    """The history line of a run that never said how it ended.

    Args:
        live: The last that it said.
        last_sign: When it did.
    """
    return RunLine(
        started_at=live.started_at,
        ended_at=last_sign,
        duration_s=live.elapsed_s,
        executor=live.executor,
        num_workers=live.num_workers,
        shard=live.shard,
        predicted_makespan_s=live.predicted_makespan_s,
        job_seconds=live.job_seconds,
        done=live.num_done,
        reused=live.num_reused,
        failed=live.num_failed,
        blocked=live.num_blocked,
        left=live.num_left,
        retried=live.num_retried,
        interrupted=True,
        killed=True,
        host=live.host,
        tunescope=live.tunescope,
    )


def _in_use(name: str, seen: WorkerState | None) -> tuple[float | None, float | None, float | None]:
    """Resident and GPU memory, GiB, and utilisation of a GPU, percent: as the worker said, or of this process if it does the job."""
    if seen is not None:
        return seen.rss_gib, seen.gpu_memory_gib, seen.gpu_utilisation_percent
    reading = latest_reading() if name == "" else None
    if reading is None:
        return None, None, None
    return reading.rss_gib, reading.gpu_memory_gib, reading.gpu_utilisation_percent


def _not_negative(value: float) -> float:
    return value if math.isfinite(value) and value > 0.0 else 0.0
