"""A plan and a store -> what the study cost: time, tokens, memory and money by kind of job, method and task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunescope.analysis.collect import state_of
from tunescope.analysis.memory import process_memory
from tunescope.store import Record, Store
from tunescope.study.job import Job
from tunescope.study.plan import Plan, RunCell


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the jobs of one kind cost for one method on one task; sums are over the jobs that are done or failed."""

    kind: str
    """Of job: train, trial, evaluate, ..."""
    base_model: str | None
    """None for jobs that depend on none."""
    task: str
    method: str | None
    """None for jobs that hold for all methods."""
    num_jobs: int
    """Planned; one that two tasks or methods share counts for the first of them alone."""
    num_done: int
    num_failed: int
    seconds: float
    """Wall clock of the jobs that are done and of the last attempt of those that failed. Of a training that was gone on with,
    the steps of earlier attempts count too; starting and ending them is not recorded."""
    num_untimed: int
    """Failed jobs whose time is not recorded, and so not in `seconds`."""
    num_tokens: int | None
    """Tokens read; None where the kind of job does not count them."""
    peak_memory_gib: float | None
    """Largest resident memory of a job's process."""
    gpu_peak_gib: float | None
    """Largest memory of tensors on a GPU; None where no job used one."""
    gpu_seconds: float
    """Of `seconds`, those of jobs that used a GPU."""
    gpu_utilisation_percent: float | None = None
    """Share of their time in which a kernel ran, sampled (NVML): mean over the done jobs that know it, weighted by their time."""
    energy_j: float | None = None
    """Joules that the devices of the done jobs took meanwhile, whoever used them; None where a done job does not know it."""
    price: float | None
    """`seconds` at the study's compute.price_per_hour; None where it gives none."""
    done_s: float
    """Of `seconds`, those of the jobs that are done: what `predicted_s` is to be held against."""
    predicted_s: float | None
    """What the plan predicted for the jobs that are done; None where the plan at hand has no prediction for all of them."""


@dataclass(frozen=True, kw_only=True)
class RelativeCost:
    """What a method's trainings cost beside the reference method's: means over seeds, and their ratio.

    Where `task` is None, a ratio is the geometric mean over tasks of the ratios of means over seeds, of the `num_tasks` tasks
    that have both, and the means are None.
    """

    base_model: str
    task: str | None
    method: str
    reference: str
    """The study's first method of kind `full`, else its first method."""
    num_tasks: int
    num_seeds: int
    """Finished runs of the method that the means are over (where `task` is None, of the task with the fewest)."""
    trainable_parameters: float | None
    total_parameters: float | None
    train_s: float | None
    """Seconds of training, the sweep's trials not counted."""
    peak_memory_gib: float | None
    memory_of: Literal["gpu", "process"] | None
    """Whether memory is that of tensors on the GPU or that of the whole process; the same for both methods."""
    parameters_ratio: float | None
    """Trained parameters, method / reference."""
    time_ratio: float | None
    memory_ratio: float | None


def collect_costs(plan: Plan, store: Store) -> list[Cost]:
    """What the jobs of a study cost, in the order in which the plan first has each kind, base model, task and method.

    Jobs that an earlier study made and this one reuses count as its own: it is what the numbers cost, not what one command did.

    Args:
        plan: Of the study; with predictions where `predicted_s` is wanted.
        store: Holds what was measured.
    """
    groups: dict[tuple[str, str | None, str, str | None], list[Job]] = {}
    counted: set[str] = set()
    for job in plan.jobs:
        if job.id in counted:  # the same work under another label, as two sweeps' first wave: it was done once
            continue
        counted.add(job.id)
        about = job.about
        place = (job.kind, _text(about.get("base_model")), str(about["task"]), _text(about.get("method")))
        groups.setdefault(place, []).append(job)
    price = plan.study.compute.price_per_hour
    return [_cost(place, jobs, store, price) for place, jobs in groups.items()]


def collect_relative_costs(plan: Plan, store: Store) -> list[RelativeCost]:
    """What each method's trainings cost beside the reference method's: a row per task, then one over tasks.

    Args:
        plan: Of the study.
        store: Holds what was measured.
    """
    entries = plan.study.methods
    reference = next((entry.name for entry in entries if entry.method.kind == "full"), entries[0].name)
    found: list[RelativeCost] = []
    for model in plan.study.base_models:
        by_task: list[RelativeCost] = []
        for task in plan.study.tasks:
            records = {
                entry.name: _train_records(
                    [
                        run
                        for run in plan.runs
                        if (run.base_model, run.task.name, run.method) == (model.name, task.name, entry.name)
                    ],
                    store,
                )
                for entry in entries
            }
            by_task.extend(_relative(model.name, task.name, entry.name, reference, records) for entry in entries)
        found.extend(by_task)
        found.extend(_over_tasks([row for row in by_task if row.method == entry.name]) for entry in entries)
    return found


def _cost(
    place: tuple[str, str | None, str, str | None], jobs: Sequence[Job], store: Store, price: float | None
) -> Cost:
    kind, base_model, task, method = place
    done = [job for job in jobs if state_of(job, store)[0] == "done"]
    records = [store.record(job.kind, job.id) for job in done]
    whole = {job.id for job in done}
    failures = [
        failure for job in jobs if job.id not in whole and (failure := store.failure(job.kind, job.id)) is not None
    ]
    timed = [failure.duration_s for failure in failures if failure.duration_s is not None]
    done_s = math.fsum(_seconds(record) for record in records)
    seconds = math.fsum([done_s, *timed])
    tokens = [tokens for record in records if (tokens := _num_tokens(record)) is not None]
    gpu = [record for record in records if record.gpu_peak_allocated_gib is not None]
    predicted = [job.resources.predicted_s for job in done]
    known = [value for value in predicted if value is not None]
    return Cost(
        kind=kind,
        base_model=base_model,
        task=task,
        method=method,
        num_jobs=len(jobs),
        num_done=len(done),
        num_failed=len(failures),
        seconds=seconds,
        num_untimed=len(failures) - len(timed),
        num_tokens=sum(tokens) if tokens and len(tokens) == len(records) else None,
        peak_memory_gib=max((record.peak_memory_gib for record in records), default=None),
        gpu_peak_gib=max((record.gpu_peak_allocated_gib or 0.0 for record in gpu), default=None),
        gpu_seconds=math.fsum(_seconds(record) for record in gpu),
        gpu_utilisation_percent=_utilisation(records),
        energy_j=_energy(records),
        price=None if price is None else price * seconds / 3600.0,
        done_s=done_s,
        predicted_s=math.fsum(known) if done and len(known) == len(done) else None,
    )


def _seconds(record: Record) -> float:
    """What a job took: its last attempt, or all steps of a training where earlier attempts made most of them."""
    steps = record.facts.get("train_s")
    return max(record.duration_s, steps) if isinstance(steps, float) else record.duration_s


def _num_tokens(record: Record) -> int | None:
    """Tokens that a job read: of training those of all steps, of evaluation those of the report rows."""
    tokens = record.facts.get("num_tokens")
    return tokens if isinstance(tokens, int) and record.kind in ("train", "trial", "evaluate") else None


def _utilisation(records: Sequence[Record]) -> float | None:
    """Mean over jobs, weighted by their duration."""
    known = [
        (one.telemetry.gpu_utilisation_percent_mean, one.duration_s)
        for one in records
        if one.telemetry is not None and one.telemetry.gpu_utilisation_percent_mean is not None
    ]
    total = math.fsum(seconds for _, seconds in known)
    return math.fsum(percent * seconds for percent, seconds in known) / total if total > 0.0 else None


def _energy(records: Sequence[Record]) -> float | None:
    known = [
        one.telemetry.energy_j for one in records if one.telemetry is not None and one.telemetry.energy_j is not None
    ]
    return math.fsum(known) if known and len(known) == len(records) else None


def _train_records(runs: Sequence[RunCell], store: Store) -> list[Record]:
    return [store.record(run.train.kind, run.train.id) for run in runs if state_of(run.train, store)[0] == "done"]


def _relative(
    base_model: str, task: str, method: str, reference: str, records: Mapping[str, Sequence[Record]]
) -> RelativeCost:
    own, other = records[method], records[reference]
    has_gpu = [record.gpu_peak_allocated_gib is not None for record in (*own, *other)]
    memory_of: Literal["gpu", "process"] = "gpu" if has_gpu and all(has_gpu) else "process"
    mine, theirs = _means(own, memory_of), _means(other, memory_of)
    return RelativeCost(
        base_model=base_model,
        task=task,
        method=method,
        reference=reference,
        num_tasks=1 if own and other else 0,
        num_seeds=len(own),
        trainable_parameters=mine["trainable"],
        total_parameters=mine["total"],
        train_s=mine["seconds"],
        peak_memory_gib=mine["memory"],
        memory_of=memory_of if own else None,
        parameters_ratio=_ratio(mine["trainable"], theirs["trainable"]),
        time_ratio=_ratio(mine["seconds"], theirs["seconds"]),
        memory_ratio=_ratio(mine["memory"], theirs["memory"]),
    )


def _means(records: Sequence[Record], memory_of: Literal["gpu", "process"]) -> dict[str, float | None]:
    """Means over finished trainings; None where there is none."""
    if not records:
        return dict.fromkeys(("trainable", "total", "seconds", "memory"))
    facts: list[dict[str, Any]] = [dict(record.facts) for record in records]
    values: dict[str, Iterator[float]] = {
        "trainable": (float(one["parameters"]["trainable"]) for one in facts),
        "total": (float(one["parameters"]["total"]) for one in facts),
        "seconds": (float(one["train_s"]) for one in facts),
    }
    means: dict[str, float | None] = {name: math.fsum(numbers) / len(records) for name, numbers in values.items()}
    return means | {"memory": _mean_memory(records, memory_of)}


def _mean_memory(records: Sequence[Record], memory_of: Literal["gpu", "process"]) -> float | None:
    """None where a record cannot tell the training's from that of earlier jobs."""
    values = [record.gpu_peak_allocated_gib if memory_of == "gpu" else process_memory(record) for record in records]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(records) else None


def _over_tasks(rows: Sequence[RelativeCost]) -> RelativeCost:
    """Of one method: the geometric means of its ratios over the tasks that have them."""
    known = [row for row in rows if row.num_tasks]
    kinds = {row.memory_of for row in known}
    return RelativeCost(
        base_model=rows[0].base_model,
        task=None,
        method=rows[0].method,
        reference=rows[0].reference,
        num_tasks=len(known),
        num_seeds=min((row.num_seeds for row in known), default=0),
        trainable_parameters=None,
        total_parameters=None,
        train_s=None,
        peak_memory_gib=None,
        memory_of=next(iter(kinds)) if len(kinds) == 1 else None,
        parameters_ratio=_geometric_mean([row.parameters_ratio for row in known]),
        time_ratio=_geometric_mean([row.time_ratio for row in known]),
        memory_ratio=_geometric_mean([row.memory_ratio for row in known]) if len(kinds) == 1 else None,
    )


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference


def _geometric_mean(ratios: Sequence[float | None]) -> float | None:
    """exp of the mean log; None where a ratio is missing or not above 0."""
    known = [ratio for ratio in ratios if ratio is not None and ratio > 0.0]
    if not known or len(known) < len(ratios):
        return None
    return math.exp(math.fsum(math.log(ratio) for ratio in known) / len(known))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
