"""A plan -> what is to be told of it: a subject per training, trial and baseline, with the jobs that say more of it."""

from __future__ import annotations

from typing import Any

from tunescope.fields import Frozen
from tunescope.study.job import Job
from tunescope.study.plan import Plan


class JobRef(Frozen):
    """A job, as a store finds it."""

    kind: str
    id: str


class Subject(Frozen):
    """One run to be, as a tracker sees it; all of it is text and numbers, so that another process can be told."""

    job: JobRef
    label: str
    about: dict[str, str | int]
    """Coordinates in the study: base_model, task, method, seed, baseline, trial."""
    config: dict[str, Any]
    """What makes the job what it is, as its record will have it."""
    metric: str
    """The task's primary score."""
    higher_is_better: bool
    """Of that score."""
    evaluate: JobRef | None = None
    drift: JobRef | None = None
    retention: JobRef | None = None
    select: JobRef | None = None
    """Of a trial: the choice of its sweep's best."""


def subjects_of(plan: Plan) -> list[Subject]:
    """The trainings, trials and baselines of a plan, each job once, in the plan's order.

    Evaluation, drift and retention of a training are told with it; other jobs are not told.
    """
    more = _more(plan)
    found: dict[str, Subject] = {}
    for job in plan.jobs:
        if job.kind in ("train", "trial", "baseline") and job.id not in found:
            found[job.id] = _subject(job, plan, more.get(job.id, {}))
    return list(found.values())


def _more(plan: Plan) -> dict[str, dict[str, JobRef]]:
    """Job -> the jobs that say more of it, by what they say."""
    more: dict[str, dict[str, JobRef]] = {}
    own_task = {}
    for run in plan.runs:
        own_task[run.train.id] = run.task.name
        more.setdefault(run.train.id, {})["evaluate"] = _ref(run.evaluate)
    for cell in plan.drift:
        if cell.what in ("run", "retention"):
            train = cell.job.inputs["run"].id
            if own_task[train] == cell.task.name:
                more[train]["drift" if cell.what == "run" else "retention"] = _ref(cell.job)
    for sweep in plan.sweeps:
        for trial in sweep.trials:
            for job in trial:
                more.setdefault(job.id, {})["select"] = _ref(sweep.select)
    return more


def _subject(job: Job, plan: Plan, more: dict[str, JobRef]) -> Subject:
    from tunescope.tasks.scores import SCORES

    metric = next(task.primary_metric for task in plan.study.tasks if task.name == job.about["task"])
    return Subject(
        job=_ref(job),
        label=job.label,
        about=dict(job.about),
        config=job.config.identity(),
        metric=metric,
        higher_is_better=SCORES[metric].higher_is_better,
        **more,
    )


def _ref(job: Job) -> JobRef:
    return JobRef(kind=job.kind, id=job.id)
