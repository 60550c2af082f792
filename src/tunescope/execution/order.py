"""What a worker is told of a job: its own work and where its inputs lie, without the jobs behind those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunescope.store.record import Attempt
from tunescope.study.job import Job, StepConfig


@dataclass(frozen=True, kw_only=True)
class Needed:
    """An artifact that a job reads."""

    kind: str
    id: str
    label: str
    may_fail: bool
    """Whether the job makes do without it, where its job failed."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One try of one job. It can be pickled at a size that does not grow with the plan."""

    kind: str
    id: str
    label: str
    config: StepConfig
    inputs: Mapping[str, Needed]
    attempts: tuple[Attempt, ...] = ()
    """Earlier tries of this run, oldest first."""
    fitting_share: float = 1.0
    """Of the tokens that the study computes at once, how many are predicted to fit."""

    @property
    def share(self) -> float:
        """Of the tokens that the study computes at once: what is predicted to fit, halved for every try that ran out of memory."""
        return self.fitting_share * 0.5 ** sum(attempt.cause == "out_of_memory" for attempt in self.attempts)


def order_of(job: Job, attempts: tuple[Attempt, ...] = ()) -> Order:
    """The order that has a worker do this job."""
    return Order(
        kind=job.kind,
        id=job.id,
        label=job.label,
        config=job.config,
        inputs={
            role: Needed(
                kind=needed.kind,
                id=needed.id,
                label=needed.label,
                may_fail=needed.kind in job.config.makes_do_without,
            )
            for role, needed in job.inputs.items()
        },
        attempts=attempts,
        fitting_share=job.resources.share,
    )
