"""Which of several workers does which jobs: what belongs together stays together, the rest is balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunescope.cost.predict import WORKER_START_S, Prediction
from tunescope.errors import StudyError
from tunescope.study.configs import ProposeConfig
from tunescope.study.job import Job
from tunescope.study.plan import Plan
from tunescope.study.spec import Pin

_SLACK = 0.05
"""How much later than with balance alone the last worker may end, for the sake of keeping a base model on one."""


@dataclass(frozen=True, kw_only=True)
class WorkerLoad:
    """What one worker does, inputs before what needs them."""

    number: int
    """Counted from 1."""
    jobs: tuple[Job, ...]
    predicted_s: float | None
    """Its jobs, and its own start; None where the time of one of its jobs is not known."""
    memory_gib: float | None
    """Peak: of its largest job; None where one is not known."""
    disk_gib: float | None
    """Of all it leaves in the store; None where one is not known."""
    scratch_gib: float | None = None
    """What its largest job holds beside that while it runs, checkpoints mostly; None where one is not known."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Every job of a plan on one worker."""

    workers: tuple[WorkerLoad, ...]
    makespan_s: float | None
    """Predicted seconds until the last worker is done."""
    notes: tuple[str, ...]
    """What a reader should know, in words."""


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Jobs that need each other's artifacts."""

    first: int
    """Place of its first job in the plan."""
    jobs: tuple[Job, ...]
    weight: float
    base_model: str
    worker: int | None
    """0-based, where the study pins it."""


def place(plan: Plan, num_workers: int, nominal: Mapping[str, Prediction | None] | None = None) -> Placement:
    """Spreads a plan's jobs over workers.

    Jobs connected by inputs (a run's training and evaluation; a sweep with its trials and the runs that use its choice) are one
    group and stay on one worker, so that no worker waits for another and each may have a disk of its own. What was read of a
    base model connects none: a worker that does not see another's artifacts reads it for itself. Groups that
    the study pins go where it says; the last pin that fits a job wins. The others are taken longest first, each to the worker
    that is free first (Graham, 1969). Where there are several base models, one worker after the other is filled with one
    model's groups after the other instead, if the last worker so ends at most 5% later.

    Args:
        plan: With predictions in its jobs' resources (`estimate`). A job without one weighs as much as the mean of the others.
        num_workers: One or more.
        nominal: Job id -> the prediction to divide by instead (`shards.nominal_predictions`), so that every machine divides
            alike; times are told as the plan has them all the same. Without it no scratch space is told.

    Raises:
        StudyError: If there is no worker, a pin names one that there is not, or pins tear a group apart.
    """
    if num_workers < 1:
        raise StudyError([f"the number of workers must be 1 or more, got {num_workers}"])
    _check_pins(plan.study.placement, num_workers)
    seconds_of = _seconds_of(plan, nominal)
    known = [seconds for seconds in seconds_of.values() if seconds is not None]
    mean = sum(known) / len(known) if known else 1.0
    groups = _groups(plan, seconds_of, mean if mean > 0.0 else 1.0)
    chosen = _longest_first(groups, num_workers)
    if len({group.base_model for group in groups if group.base_model}) > 1:
        limits = (_makespan(chosen) * (1.0 + share * _SLACK) for share in (0.0, 0.25, 0.5, 1.0))
        chosen = next(filter(None, (_by_base_model(groups, num_workers, limit) for limit in limits)), chosen)
    order = {id(job): number for number, job in enumerate(plan.jobs)}
    workers = []
    for number, assigned in enumerate(chosen):
        jobs = sorted((job for group in assigned for job in group.jobs), key=lambda job: order[id(job)])
        workers.append(load_of(number + 1, jobs, nominal))
    seconds = [worker.predicted_s for worker in workers]
    makespan = None if any(value is None for value in seconds) else max(value for value in seconds if value is not None)
    notes = (*_notes(len(seconds_of), len(known)), *_made_twice(workers))
    return Placement(workers=tuple(workers), makespan_s=makespan, notes=notes)


def load_of(number: int, jobs: Sequence[Job], nominal: Mapping[str, Prediction | None] | None = None) -> WorkerLoad:
    """What some jobs on one worker come to.

    Args:
        number: The worker's, from 1.
        jobs: In their order.
        nominal: As `place` is given it, for the scratch space.
    """
    memory = [job.resources.memory_gib for job in jobs]
    scratch = [found.scratch_gib if (found := (nominal or {}).get(job.id)) is not None else None for job in jobs]
    return WorkerLoad(
        number=number,
        jobs=tuple(jobs),
        predicted_s=_sum([WORKER_START_S if jobs else 0.0, *(job.resources.predicted_s for job in jobs)]),
        memory_gib=_largest(memory),
        disk_gib=_sum([job.resources.disk_gib for job in jobs]),
        scratch_gib=_largest(scratch),
    )


def _seconds_of(plan: Plan, nominal: Mapping[str, Prediction | None] | None) -> dict[str, float | None]:
    """Job id -> the time to divide by."""
    if nominal is None:
        return {job.id: job.resources.predicted_s for job in plan.jobs}
    found = {job.id: nominal[job.id] for job in plan.jobs}
    return {key: None if prediction is None else prediction.seconds for key, prediction in found.items()}


def _check_pins(pins: Sequence[Pin], num_workers: int) -> None:
    problems = [
        f"placement[{number}] names worker {pin.worker}, there are {num_workers}: use --workers {pin.worker} or more "
        f"(--shard I/{pin.worker}), or change the pin"
        for number, pin in enumerate(pins)
        if pin.worker > num_workers
    ]
    if problems:
        raise StudyError(problems)


def _groups(plan: Plan, seconds_of: Mapping[str, float | None], unknown_s: float) -> list[_Group]:
    """Jobs connected by inputs, in the order of their first job; those that are made where they are needed connect none.

    Two labels of one job are connected too: it is made once.
    """
    parent: dict[int, int] = {id(job): id(job) for job in plan.jobs}

    def root(key: int) -> int:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    alike: dict[str, Job] = {}
    for job in plan.jobs:
        for needed in job.inputs.values():
            if not needed.config.is_made_where_needed:
                parent[root(id(needed))] = root(id(job))
        if not isinstance(job.config, ProposeConfig):  # the first wave of equal sweeps is one job, of milliseconds
            parent[root(id(job))] = root(id(alike.setdefault(job.id, job)))
    members: dict[int, list[Job]] = {}
    places: dict[int, int] = {}
    for number, job in enumerate(plan.jobs):
        members.setdefault(root(id(job)), []).append(job)
        places.setdefault(root(id(job)), number)
    groups = []
    for key, jobs in members.items():
        times = (seconds_of[one] for one in {job.id: None for job in jobs})
        models = [str(job.about["base_model"]) for job in jobs if "base_model" in job.about]
        groups.append(
            _Group(
                first=places[key],
                jobs=tuple(jobs),
                weight=sum(unknown_s if seconds is None else seconds for seconds in times),
                base_model=models[0] if models else "",
                worker=_pinned(jobs, plan.study.placement),
            )
        )
    return groups


def _pinned(jobs: Sequence[Job], pins: Sequence[Pin]) -> int | None:
    """The 0-based worker that a group is pinned to."""
    wanted = {worker: job for job in jobs if (worker := _pin_of(job, pins)) is not None}
    if len(wanted) > 1:
        (one, first), (other, second) = list(wanted.items())[:2]
        raise StudyError(
            [
                f"placement pins {first.label} to worker {one} and {second.label} to worker {other}, but these need each other's "
                "artifacts and stay on one worker. Name all their steps in one pin"
            ]
        )
    return next(iter(wanted)) - 1 if wanted else None


def _pin_of(job: Job, pins: Sequence[Pin]) -> int | None:
    """The 1-based worker of the last pin that fits a job."""
    fitting = [
        pin.worker
        for pin in pins
        if (pin.tasks is None or job.about.get("task") in pin.tasks) and (pin.steps is None or job.kind in pin.steps)
    ]
    return fitting[-1] if fitting else None


def _longest_first(groups: Sequence[_Group], num_workers: int) -> list[list[_Group]]:
    """Groups of each worker: pinned ones first, then the longest to whoever is free first."""
    assigned, loads = _pinned_ones(groups, num_workers)
    for group in sorted(_free(groups), key=lambda group: (-group.weight, group.first)):
        worker = loads.index(min(loads))
        assigned[worker].append(group)
        loads[worker] += group.weight
    return assigned


def _by_base_model(groups: Sequence[_Group], num_workers: int, limit: float) -> list[list[_Group]] | None:
    """Groups of each worker, filled one after the other, model by model; None where some do not fit below `limit` seconds."""
    assigned, loads = _pinned_ones(groups, num_workers)
    models = list(dict.fromkeys(group.base_model for group in groups if group.base_model))
    of_a_model = [group for group in _free(groups) if group.base_model]
    worker = 0
    for group in sorted(of_a_model, key=lambda group: (models.index(group.base_model), -group.weight, group.first)):
        while worker < num_workers and loads[worker] + group.weight > limit:
            worker += 1
        if worker == num_workers:
            return None
        assigned[worker].append(group)
        loads[worker] += group.weight
    for group in sorted(
        (group for group in _free(groups) if not group.base_model), key=lambda group: (-group.weight, group.first)
    ):
        freest = loads.index(min(loads))
        assigned[freest].append(group)
        loads[freest] += group.weight
    return assigned if max(loads) <= limit else None


def _pinned_ones(groups: Sequence[_Group], num_workers: int) -> tuple[list[list[_Group]], list[float]]:
    """The pinned groups of each worker, and the seconds they take."""
    assigned = [[group for group in groups if group.worker == worker] for worker in range(num_workers)]
    return assigned, [sum(group.weight for group in pinned) for pinned in assigned]


def _free(groups: Sequence[_Group]) -> list[_Group]:
    return [group for group in groups if group.worker is None]


def _makespan(assigned: Sequence[Sequence[_Group]]) -> float:
    return max(sum(group.weight for group in groups) for groups in assigned)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, default=0.0) if len(known) == len(values) else None


def _made_twice(workers: Sequence[WorkerLoad]) -> tuple[str, ...]:
    """What is said of jobs that other workers need as well."""
    needed = {
        job.id: job.kind
        for worker in workers
        for needing in worker.jobs
        for job in needing.inputs.values()
        if job.config.is_made_where_needed and all(job is not own for own in worker.jobs)
    }
    if not needed:
        return ()
    return (
        f"{len(needed)} {'job' if len(needed) == 1 else 'jobs'} ({', '.join(sorted(set(needed.values())))}) needed on other "
        f"workers too: one that does not share the store makes them again, which is not in its time",
    )


def _notes(num_jobs: int, num_known: int) -> tuple[str, ...]:
    if num_known == num_jobs:
        return ()
    if num_known == 0:
        return ("no job has a predicted time: all weigh the same",)
    return (
        f"{num_jobs - num_known} of {num_jobs} jobs have no predicted time: each weighs as much as the mean of the others",
    )
