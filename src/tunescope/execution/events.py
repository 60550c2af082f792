"""What happens in a run, told to whoever watches; nothing in this package prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tunescope.execution.outcome import Outcome
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
    """A job begins."""

    job: Job


@dataclass(frozen=True, kw_only=True)
class JobProgress:
    """A job under way says how far it is."""

    job: Job
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class JobEnded:
    """A job is done or has failed."""

    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class JobBlocked:
    """A job cannot run, because others that it needs have failed. Told again when one more of them fails."""

    job: Job
    on: tuple[Job, ...]
    """The jobs that failed, not those in between."""


Event = PlanSkipped | JobStarted | JobProgress | JobEnded | JobBlocked
OnEvent = Callable[[Event], None]
