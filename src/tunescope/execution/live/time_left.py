"""Predicted and measured times of jobs -> when a run is expected to be done; nothing is invented where a prediction is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tunescope.store.live import TimeLeft
from tunescope.study.job import Job


@dataclass
class Measured:
    """Sums over jobs that are done and had a prediction, by kind."""

    num_jobs: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    predicted: dict[str, float] = field(default_factory=dict)

    def add(self, job: Job, seconds: float) -> None:
        """Takes a job that is done; one without a prediction tells nothing."""
        if not job.resources.predicted_s:
            return
        self.num_jobs += 1
        self.seconds[job.kind] = self.seconds.get(job.kind, 0.0) + seconds
        self.predicted[job.kind] = self.predicted.get(job.kind, 0.0) + job.resources.predicted_s

    @property
    def ratio(self) -> float | None:
        """Measured / predicted of all kinds together; None where nothing is measured."""
        predicted = math.fsum(self.predicted.values())
        return math.fsum(self.seconds.values()) / predicted if predicted > 0.0 else None

    def ratio_of(self, kind: str) -> float:
        """Measured / predicted of a kind; of all kinds where none of it is done; 1 where nothing is."""
        if self.predicted.get(kind):
            return self.seconds[kind] / self.predicted[kind]
        return self.ratio or 1.0


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """What is known of a try under way."""

    elapsed_s: float
    remaining_s: float | None
    """As the job itself says; None where it does not."""


def time_left(left: Sequence[Job], under_way: Mapping[str, UnderWay], measured: Measured, num_workers: int) -> TimeLeft:
    """When the last of the jobs left is expected to be done.

    A job under way takes what it says itself, else its prediction less what it has taken; one that waits takes its prediction
    times what its kind measured over what it was predicted. Together they take the larger of their sum over the workers and of
    the longest chain of jobs that need each other's artifacts: never more than twice too short for want of a schedule (Graham, 1969).

    Args:
        left: Jobs under way and those that wait, inputs before what needs them.
        under_way: Job's id -> what is known of its try.
        measured: What the jobs done so far took.
        num_workers: One or more.
    """
    if not left:
        return TimeLeft(seconds=0.0, why="nothing is left")
    seconds = {job.id: _seconds(job, under_way.get(job.id), measured) for job in left}
    unknown = sum(one is None for one in seconds.values())
    if unknown:
        return TimeLeft(seconds=None, why=f"{unknown} of {len(left)} jobs left have no predicted time")
    known = {id: one for id, one in seconds.items() if one is not None}
    ends: dict[str, float] = {}
    for job in left:
        ends[job.id] = known[job.id] + max((ends.get(needed.id, 0.0) for needed in job.inputs.values()), default=0.0)
    total = math.fsum(known.values())
    ratio = measured.ratio
    told = (
        "predicted; no job is done to correct it by"
        if ratio is None
        else f"predicted, corrected by {measured.num_jobs} done: they took {ratio:.2g} times their prediction"
    )
    return TimeLeft(seconds=max(total / num_workers, *ends.values()), why=told)


def predicted_makespan_s(jobs: Iterable[Job], num_workers: int) -> float | None:
    """Seconds that jobs are predicted to take, by the rule of `time_left`; None where one has no prediction."""
    return time_left(list(jobs), {}, Measured(), num_workers).seconds


def _seconds(job: Job, under_way: UnderWay | None, measured: Measured) -> float | None:
    if under_way is not None and under_way.remaining_s is not None:
        return under_way.remaining_s
    if job.resources.predicted_s is None:
        return None
    corrected = job.resources.predicted_s * measured.ratio_of(job.kind)
    return corrected if under_way is None else max(0.0, corrected - under_way.elapsed_s)
