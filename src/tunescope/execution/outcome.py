"""How one job ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunescope.store.record import Failure
from tunescope.study.job import Job


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one job ended: its artifact is whole in the store, or `error` says why not."""

    job: Job
    status: Literal["done", "failed"]
    duration_s: float
    error: Failure | None = None
    """There exactly if the job failed."""

    def __post_init__(self) -> None:
        assert (self.error is not None) == (self.status == "failed")
