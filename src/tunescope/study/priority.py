"""In which order several workers take the jobs of a plan: what most work waits for comes first."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.study.job import Job


def by_priority(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """The jobs, longest remaining path first: the predicted time of a job and of the longest chain of jobs that waits for it.

    Taking the longest path first keeps the last worker from starting its longest work when the others are done (Hu, 1961;
    Graham, 1969). A job without a predicted time counts as much as the mean of the others; where none is known, and between
    equals, the given order stays. So inputs come before what needs them, as they are given.

    Args:
        jobs: With predictions in their resources; inputs before what needs them. Inputs that are not among them are left out.
    """
    known = [job.resources.predicted_s for job in jobs if job.resources.predicted_s is not None]
    if not known:
        return tuple(jobs)
    mean = sum(known) / len(known)
    after: dict[str, float] = {}
    """Job -> seconds of the longest chain that waits for it."""
    remaining: list[float] = [0.0] * len(jobs)
    for place in range(len(jobs) - 1, -1, -1):  # whoever needs a job comes after it
        job = jobs[place]
        own = job.resources.predicted_s
        remaining[place] = (mean if own is None else own) + after.get(job.id, 0.0)
        for needed in job.inputs.values():
            after[needed.id] = max(after.get(needed.id, 0.0), remaining[place])
    order = sorted(range(len(jobs)), key=lambda place: (-remaining[place], place))
    return tuple(jobs[place] for place in order)
