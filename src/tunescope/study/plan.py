"""A `StudySpec` -> the jobs that answer it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunescope.models.base import BaseModelSpec
from tunescope.study.configs import (
    BaselineConfig,
    EvaluateConfig,
    RepresentConfig,
    SelectConfig,
    TrainConfig,
    as_baseline,
    as_reported,
    as_trained_on,
)
from tunescope.study.job import Job
from tunescope.study.spec import BaselineName, MethodEntry, StudySpec
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


def make_plan(study: StudySpec, decoders: Mapping[str, bool], files_sha256: Mapping[str, str] | None = None) -> Plan:
    """The jobs of a study: baselines, representations, then each run's trials, training and evaluation.

    Args:
        study: What is asked.
        decoders: Base model -> whether it is a decoder; only decoders have a zero-shot baseline.
        files_sha256: Data file as the study names it -> SHA-256 of its bytes, for tasks with files of their own.
    """
    hashes = files_sha256 or {}
    baselines = tuple(_baseline_cells(study, decoders, hashes))
    represent = tuple(_represent_jobs(study, hashes))
    runs: list[RunCell] = []
    jobs: dict[int, Job] = {}

    def add(job: Job) -> Job:
        for needed in job.inputs.values():
            add(needed)
        jobs.setdefault(id(job), job)
        return job

    for cell in baselines:
        add(cell.job)
    for job in represent:
        add(job)
    for model in study.base_models:
        for task in study.tasks:
            for entry in study.methods:
                for run in _run_cells(study, model, task, entry, hashes):
                    add(run.train)
                    add(run.evaluate)
                    runs.append(run)
    return Plan(study=study, jobs=tuple(jobs.values()), runs=tuple(runs), baselines=baselines)


def _run_cells(
    study: StudySpec, model: BaseModelSpec, task: TaskSpec, entry: MethodEntry, hashes: Mapping[str, str]
) -> Iterator[RunCell]:
    label = (
        f"{short_name(model.name)}-{task.name}-{entry.name}"
        if len(study.base_models) > 1
        else f"{task.name}-{entry.name}"
    )
    about = {"base_model": model.name, "task": task.name, "method": entry.name}
    trained_on, reported = as_trained_on(task), as_reported(task)

    def training(chosen: MethodEntry, seed: int, name: str, inputs: Mapping[str, Job], role: str) -> Job:
        config = TrainConfig(
            base_model=model,
            task=trained_on,
            method_kind=chosen.method.kind,
            method=chosen.method,
            training=study.settings(model, task, chosen),
            seed=seed,
            files_sha256=_hashes_of(trained_on, hashes),
            keep_weights=role == "run",
        )
        return Job(label=name, config=config, inputs=inputs, about=about | {"seed": seed, "role": role})

    inputs: dict[str, Job] = {}
    if entry.sweep:
        grid = tuple(entry.grid())
        trials = {
            f"trial_{number}": training(
                entry.with_values(values), study.sweep.seed, f"{label}-trial{number}", {}, "trial"
            )
            for number, values in enumerate(grid)
        }
        inputs = {
            "selected": Job(label=f"{label}-select", config=SelectConfig(trials=grid), inputs=trials, about=about)
        }
    first = entry.with_values(next(entry.grid()))
    precision = study.settings(model, task, first).precision
    evaluation = EvaluateConfig(
        base_model=model, task=reported, files_sha256=_hashes_of(reported, hashes), precision=precision
    )
    for seed in study.seeds:
        train = training(first, seed, f"{label}-seed{seed}", inputs, "run")
        evaluate = Job(
            label=f"{label}-seed{seed}-evaluate", config=evaluation, inputs={"run": train}, about=about | {"seed": seed}
        )
        yield RunCell(base_model=model.name, task=task, method=entry.name, seed=seed, train=train, evaluate=evaluate)


def _baseline_cells(
    study: StudySpec, decoders: Mapping[str, bool], hashes: Mapping[str, str]
) -> Iterator[BaselineCell]:
    for task in study.tasks:
        for baseline in study.baselines:
            if not applies(baseline, task):
                continue
            models: tuple[BaseModelSpec | None, ...] = (None,)
            if baseline == "zero_shot":
                models = tuple(model for model in study.base_models if decoders[model.name])
            for model in models:
                seen = as_baseline(task, baseline)
                config = BaselineConfig(
                    baseline=baseline,
                    task=seen,
                    files_sha256=_hashes_of(seen, hashes),
                    base_model=model,
                    seeds=study.seeds if baseline == "random" else (),
                )
                label = f"{task.name}-{baseline}"
                if model is not None and len(study.base_models) > 1:
                    label = f"{short_name(model.name)}-{label}"
                name = None if model is None else model.name
                about: dict[str, str | int] = {"task": task.name, "baseline": baseline}
                if name is not None:
                    about["base_model"] = name
                yield BaselineCell(
                    base_model=name, task=task, baseline=baseline, job=Job(label=label, config=config, about=about)
                )


def applies(baseline: BaselineName, task: TaskSpec) -> bool:
    """Whether a baseline can be stated for a task: references need a citation, zero-shot needs label words."""
    if baseline == "reference":
        return bool(task.references)
    if baseline == "zero_shot":
        return task.kind == "classification" and task.label_words is not None
    return True


def _represent_jobs(study: StudySpec, hashes: Mapping[str, str]) -> Iterator[Job]:
    asked = study.representations
    if asked is None:
        return
    for model in study.base_models:
        for task in study.tasks:
            config = RepresentConfig(
                base_model=model,
                task=as_reported(task),
                files_sha256=_hashes_of(as_reported(task), hashes),
                num_examples=asked.num_examples,
                pooling=asked.pooling,
            )
            label = (
                f"{short_name(model.name)}-{task.name}-represent"
                if len(study.base_models) > 1
                else f"{task.name}-represent"
            )
            yield Job(label=label, config=config, about={"base_model": model.name, "task": task.name})


def _hashes_of(task: TaskSpec, hashes: Mapping[str, str]) -> dict[str, str]:
    return {split: hashes[file] for split, file in (task.dataset.files or {}).items() if file in hashes}


def short_name(base_model: str) -> str:
    """The last part of a hub id or path."""
    return base_model.rstrip("/").rsplit("/", 1)[-1]
