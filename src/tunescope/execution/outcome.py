"""How one try of a job ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunescope.store.record import Failure
from tunescope.study.job import Job

Status = Literal["done", "failed", "stopped"]
""""stopped": asked to, with what it had done in its checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one try ended, as the worker says it: the artifact is whole in the store, or `error` says why not."""

    status: Status
    duration_s: float
    error: Failure | None = None
    """There exactly if the job failed."""

    def __post_init__(self) -> None:
        assert (self.error is not None) == (self.status == "failed")


@dataclass(frozen=True, kw_only=True)
class Outcome(Result):
    """How one try of a job ended, as the executor tells the runner."""

    job: Job
    worker: str = ""
    """Empty where the command did it itself."""
