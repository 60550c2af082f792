"""Which jobs nothing waits for any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tunescope.study.job import Job


def unwanted(jobs: Sequence[Job], whole: Collection[str]) -> list[Job]:
    """Jobs that are wanted for others alone, none of which is still to be made.

    Args:
        jobs: Inputs before what needs them.
        whole: Ids of the jobs whose artifacts are there.
    """
    wanted: set[str] = set()
    left_out = []
    for job in reversed(jobs):  # whoever needs a job comes after it
        if job.id in whole:
            continue
        if job.config.is_for_others and job.id not in wanted:
            left_out.append(job)
        else:
            wanted.update(needed.id for needed in job.inputs.values())
    return left_out
