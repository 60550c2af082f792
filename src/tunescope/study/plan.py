"""A `StudySpec` -> the jobs that answer it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunescope.models.base import BaseModelSpec
from tunescope.study.configs import (
    BaselineConfig,
    EvaluateConfig,
    TrainConfig,
    TrialConfig,
    as_baseline,
    as_reported,
    as_trained_on,
    hashes_of,
)
from tunescope.study.drift_jobs import DriftCell, drift_cells, represent_jobs
from tunescope.study.example_jobs import example_jobs
from tunescope.study.job import Job
from tunescope.study.labels import label_of
from tunescope.study.probe_jobs import ProbeCell, probe_cells
from tunescope.study.spec import BaselineName, MethodEntry, StudySpec
from tunescope.study.sweeps import Sweep, make_sweep
from tunescope.tasks.spec import TaskSpec


@dataclass(frozen=True, kw_only=True)
class RunCell:
    """One run of the comparison: its coordinates and its jobs."""

    base_model: str
    task: TaskSpec
    method: str
    seed: int
    train: Job
    evaluate: Job


@dataclass(frozen=True, kw_only=True)
class BaselineCell:
    """One baseline of a task; `base_model` is None where it does not depend on one."""

    base_model: str | None
    task: TaskSpec
    baseline: BaselineName
    job: Job


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every job of a study, inputs before what needs them, and what each is for."""

    study: StudySpec
    jobs: tuple[Job, ...]
    runs: tuple[RunCell, ...]
    baselines: tuple[BaselineCell, ...]
    sweeps: tuple[Sweep, ...] = ()
    drift: tuple[DriftCell, ...] = ()
    probes: tuple[ProbeCell, ...] = ()
    examples: Mapping[str, Job] = field(default_factory=dict)
    """Task -> the job that keeps its report rows as people read them."""


def make_plan(study: StudySpec, decoders: Mapping[str, bool], files_sha256: Mapping[str, str] | None = None) -> Plan:
    """The jobs of a study: baselines, examples, representations, each run's trials, training and evaluation, then what drifted.

    Args:
        study: What is asked.
        decoders: Base model -> whether it is a decoder; only decoders have a zero-shot baseline.
        files_sha256: Data file as the study names it -> SHA-256 of its bytes, for tasks with files of their own.
    """
    hashes = files_sha256 or {}
    baselines = tuple(_baseline_cells(study, decoders, hashes))
    represent = represent_jobs(study, hashes)
    runs: list[RunCell] = []
    sweeps: list[Sweep] = []
    jobs: dict[int, Job] = {}

    def add(job: Job) -> None:
        if id(job) in jobs:  # or every wave of a sweep would walk all waves before it again, and those theirs
            return
        for needed in job.inputs.values():
            add(needed)
        jobs[id(job)] = job

    for cell in baselines:
        add(cell.job)
    examples = example_jobs(study, hashes)
    for job in (*examples.values(), *represent.values()):
        add(job)
    for model in study.base_models:
        for task in study.tasks:
            for entry in study.methods:
                sweep = _sweep(study, model, task, entry, hashes)
                if sweep is not None:
                    add(sweep.select)
                    sweeps.append(sweep)
                for run in _run_cells(study, model, task, entry, hashes, sweep):
                    add(run.train)
                    add(run.evaluate)
                    runs.append(run)
    drift = tuple(drift_cells(study, runs, represent, decoders, hashes))
    for measured in drift:
        add(measured.job)
    probes = tuple(probe_cells(study, runs, decoders, hashes))
    for probe in probes:
        add(probe.job)
    return Plan(
        study=study,
        jobs=tuple(jobs.values()),
        runs=tuple(runs),
        baselines=baselines,
        sweeps=tuple(sweeps),
        drift=drift,
        probes=probes,
        examples=examples,
    )


def _sweep(
    study: StudySpec, model: BaseModelSpec, task: TaskSpec, entry: MethodEntry, hashes: Mapping[str, str]
) -> Sweep | None:
    if not entry.sweep:
        return None
    label = label_of(study, model, task.name, entry.name)
    about = _about(model, task, entry)
    common = _training_fields(study, model, task, entry, hashes)
    several = study.sweep.seeds_per_trial > 1

    def trial(number: int, replicate: int, seed: int, inputs: Mapping[str, Job]) -> Job:
        config = TrialConfig(**common, seed=seed, number=number, replicate=replicate)
        name = f"{label}-trial{number}" + (f"-{replicate}" if several else "")
        more: dict[str, str | int] = {"seed": seed, "role": "trial", "trial": number, "replicate": replicate}
        return Job(label=name, config=config, inputs=inputs, about=about | more)

    return make_sweep(study.sweep, entry.sweep, trial, label=label, about=about)


def _run_cells(
    study: StudySpec,
    model: BaseModelSpec,
    task: TaskSpec,
    entry: MethodEntry,
    hashes: Mapping[str, str],
    sweep: Sweep | None,
) -> Iterator[RunCell]:
    label = label_of(study, model, task.name, entry.name)
    about = _about(model, task, entry)
    common = _training_fields(study, model, task, entry, hashes)
    reported = as_reported(task)
    evaluation = EvaluateConfig(
        base_model=model,
        task=reported,
        files_sha256=hashes_of(reported, hashes),
        precision=study.settings(model, task, entry.typical()).precision,
    )
    inputs = {} if sweep is None else {"selected": sweep.select}
    watched: dict[str, Any] = {}
    if study.drift is not None and study.drift.every is not None:
        watched = {"watch_drift": study.drift.every, "watch_pooling": study.drift.pooling[0]}
    for seed in study.seeds:
        train = Job(
            label=f"{label}-seed{seed}",
            config=TrainConfig(**common, **watched, seed=seed),
            inputs=inputs,
            about=about | {"seed": seed, "role": "run"},
        )
        evaluate = Job(
            label=f"{label}-seed{seed}-evaluate", config=evaluation, inputs={"run": train}, about=about | {"seed": seed}
        )
        yield RunCell(base_model=model.name, task=task, method=entry.name, seed=seed, train=train, evaluate=evaluate)


def _training_fields(
    study: StudySpec, model: BaseModelSpec, task: TaskSpec, entry: MethodEntry, hashes: Mapping[str, str]
) -> dict[str, Any]:
    """What all trainings of a cell have in common; swept fields hold a typical value until the sweep's is known."""
    typical, trained_on = entry.typical(), as_trained_on(task)
    return {
        "base_model": model,
        "task": trained_on,
        "method_kind": typical.method.kind,
        "method": typical.method,
        "training": study.settings(model, task, typical),
        "files_sha256": hashes_of(trained_on, hashes),
    }


def _about(model: BaseModelSpec, task: TaskSpec, entry: MethodEntry) -> dict[str, str]:
    return {"base_model": model.name, "task": task.name, "method": entry.name}


def _baseline_cells(
    study: StudySpec, decoders: Mapping[str, bool], hashes: Mapping[str, str]
) -> Iterator[BaselineCell]:
    for task in study.tasks:
        for baseline in study.baselines:
            if why_not_stated(baseline, task):
                continue
            models: tuple[BaseModelSpec | None, ...] = (None,)
            if baseline == "zero_shot":
                models = tuple(model for model in study.base_models if decoders[model.name])
            for model in models:
                seen = as_baseline(task, baseline)
                config = BaselineConfig(
                    baseline=baseline,
                    task=seen,
                    files_sha256=hashes_of(seen, hashes),
                    base_model=model,
                    seeds=study.seeds if baseline == "random" else (),
                )
                label = label_of(study, model, task.name, baseline)
                name = None if model is None else model.name
                about: dict[str, str | int] = {"task": task.name, "baseline": baseline}
                if name is not None:
                    about["base_model"] = name
                yield BaselineCell(
                    base_model=name, task=task, baseline=baseline, job=Job(label=label, config=config, about=about)
                )


def why_not_stated(baseline: BaselineName, task: TaskSpec) -> str:
    """Why a baseline cannot be stated for a task, whatever the base model; empty where it can."""
    if baseline == "reference" and not task.references:
        return "the task cites no published figure (references)"
    if baseline == "zero_shot" and task.kind != "classification":
        return f"a {task.kind.replace('_', ' ')} task has no label words"
    if baseline == "zero_shot" and task.kind == "classification" and task.label_words is None:
        return "the task has no label_words"
    return ""


def baselines_left_out(study: StudySpec, there: Collection[tuple[str, str, str | None]]) -> list[str]:
    """A line for each baseline that a study names itself and that some of its tasks or base models cannot have.

    Args:
        study: The study; where it names no baselines, each task silently has those that it can have.
        there: Baseline, task and base model of those there are; None for the model where it depends on none.
    """
    lines = []
    for baseline in study.baselines if "baselines" in study.model_fields_set else ():
        reasons: dict[str, list[str]] = {}
        for task in study.tasks:
            why = why_not_stated(baseline, task)
            if why:
                reasons.setdefault(why, []).append(task.name)
            elif baseline == "zero_shot":
                for model in study.base_models:
                    if (baseline, task.name, model.name) not in there:
                        reasons.setdefault(f"{model.name} is no decoder", []).append(task.name)
        told = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
        lines.extend([f"no baseline {baseline} for {told}"] if told else [])
    return lines
