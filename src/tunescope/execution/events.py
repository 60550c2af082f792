"""What happens in a run, told to whoever watches; nothing in this package prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tunescope.execution.outcome import Outcome
from tunescope.store.record import Attempt
from tunescope.study.job import Job
from tunescope.training.progress import Progress


@dataclass(frozen=True, kw_only=True)
class PlanSkipped:
    """Jobs whose artifact is whole already; told once, before anything runs, also where there are none."""

    reused: tuple[Job, ...]
    num_jobs: int
    """Jobs of the plan, the reused ones included."""


@dataclass(frozen=True, kw_only=True)
class JobStarted:
    """A try of a job begins."""

    job: Job
    worker: str = ""


@dataclass(frozen=True, kw_only=True)
class JobProgress:
    """A job under way says how far it is."""

    job: Job
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class JobRetried:
    """A try has failed in a way that another may not: the job waits for its next one."""

    job: Job
    attempt: Attempt
    num_attempts: int
    """Tries so far."""


@dataclass(frozen=True, kw_only=True)
class JobEnded:
    """A job is done, has failed for good, or was stopped on request."""

    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class JobBlocked:
    """A job cannot run, because others that it needs have failed. Told again when one more of them fails."""

    job: Job
    on: tuple[Job, ...]
    """The jobs that failed, not those in between."""


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """A worker as last seen; None is not known."""

    name: str
    host: str
    pid: int
    device: str
    state: Literal["starting", "idle", "running", "lost"]
    job_id: str | None = None
    rss_gib: float | None = None
    gpu_memory_gib: float | None = None
    gpu_utilisation_percent: float | None = None


@dataclass(frozen=True, kw_only=True)
class WorkerSeen:
    """A worker has told of itself, or has gone."""

    worker: WorkerState


@dataclass(frozen=True, kw_only=True)
class StopAsked:
    """Someone asked the run to stop; what is under way may still write a checkpoint."""

    num_under_way: int


Event = PlanSkipped | JobStarted | JobProgress | JobRetried | JobEnded | JobBlocked | WorkerSeen | StopAsked
OnEvent = Callable[[Event], None]
