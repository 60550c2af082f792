"""What follows from how a try of a job ended: another one, or the job has failed."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.store.record import Attempt, Failure, FailureCause

MAX_RETRIES: dict[FailureCause, int] = {"out_of_memory": 6, "lost": 2, "timeout": 1}
"""Cause -> how many more tries a job gets for it. Out of memory: each computes half as many tokens at once. A lost worker or
machine, or one that hung: elsewhere, where there is an elsewhere. All other causes would come again: a loss that is not finite,
a full disk, an error of the code."""

_OF_THE_JOB: frozenset[FailureCause] = frozenset({"code", "not_finite", "out_of_memory"})


def is_of_the_job(failure: Failure) -> bool:
    """Whether the job failed by what it is: such a trial counts as failed in its sweep.

    A lost machine, one that hung or a full disk says nothing of the job: what could do without it waits for it to run.
    """
    return failure.cause in _OF_THE_JOB


def next_try(failure: Failure, attempts: Sequence[Attempt]) -> Attempt | None:
    """The failed try as an attempt, if the job is to be tried again; None where it has failed for good.

    Args:
        failure: How the last try ended.
        attempts: Those before it.
    """
    earlier = sum(attempt.cause == failure.cause for attempt in attempts)
    if earlier >= MAX_RETRIES.get(failure.cause, 0):
        return None
    return Attempt(
        cause=failure.cause,
        reason=failure.reason,
        worker=failure.worker,
        ended_at=failure.failed_at,
        duration_s=failure.duration_s,
    )
