"""What the command and a worker process say to each other, in this order: setup, ready, then work and its end, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunescope.execution.order import Order
from tunescope.execution.outcome import Result
from tunescope.training.progress import Progress

if TYPE_CHECKING:
    from tunescope.hub.source import Source
    from tunescope.study.spec import Compute


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that a worker needs before its first job. A step context without its functions: those cannot cross."""

    worker: str
    store: Path
    steps: str
    """"module:attribute", a mapping of kind -> step, or a function that returns one."""
    steps_arguments: tuple[Any, ...]
    """Given to the function."""
    source: Source
    compute: Compute
    device: str
    num_threads: int
    logs: Path | None
    driver_pid: int
    lock_descriptor: int | None
    """The store's lock, which the worker holds too; None where it is not held."""
    beat_s: float
    """Seconds between signs of life."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Try this job."""

    order: Order


@dataclass(frozen=True, kw_only=True)
class Stop:
    """End the job under way: by a checkpoint if it keeps any, else at once."""


@dataclass(frozen=True, kw_only=True)
class Quit:
    """There will be no more work."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The worker has started and takes jobs."""

    host: str


@dataclass(frozen=True, kw_only=True)
class Alive:
    """A sign of life."""

    gpu_memory_gib: float | None
    """What torch's allocator has taken from the GPU; None without one."""


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """How far the job under way is."""

    job_id: str
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A job has ended, and the worker is idle."""

    job_id: str
    result: Result


ToWorker = Setup | Work | Stop | Quit
FromWorker = Ready | Alive | Progressed | Ended
