"""The jobs that probe a study's tasks in models that were trained on others: one per base model and task, one per run and task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunescope.errors import did_you_mean
from tunescope.models.base import BaseModelSpec
from tunescope.study.configs import ProbeConfig, as_probed, hashes_of
from tunescope.study.drift import RetentionSettings
from tunescope.study.job import Job
from tunescope.study.labels import label_of
from tunescope.study.spec import StudySpec
from tunescope.tasks.spec import Classification, TaskSpec

if TYPE_CHECKING:
    from tunescope.study.plan import RunCell


@dataclass(frozen=True, kw_only=True)
class ProbeCell:
    """One probe, and where it belongs in the study."""

    base_model: str
    task: Classification
    """What is probed."""
    trained_on: str | None
    """Name of the task that the run was trained on; None for the base model itself."""
    method: str | None
    seed: int | None
    job: Job


def probe_cells(
    study: StudySpec, runs: Sequence[RunCell], decoders: Mapping[str, bool], hashes: Mapping[str, str]
) -> Iterator[ProbeCell]:
    """Every probe of a study: of each probed task the base model's, then those of all runs that were trained on another task.

    Args:
        study: What is asked.
        runs: Its runs.
        decoders: Base model -> whether it is a decoder, whose last token has seen the text.
        hashes: File as the study names it -> SHA-256 of its bytes.
    """
    asked = study.retention
    if asked is None or not asked.probes:
        return
    for model in study.base_models:
        for task in study.tasks:
            others = [run for run in runs if run.base_model == model.name and run.task.name != task.name]
            if why_not_probed(task, asked) or not others:
                continue
            assert isinstance(task, Classification)
            yield _of_base(study, model, task, asked, decoders[model.name], hashes)
            for run in others:
                yield _of_run(model, task, run, asked, decoders[model.name], hashes)


def why_not_probed(task: TaskSpec, asked: RetentionSettings) -> str:
    """Why a task is not probed, whatever the run; empty where it is."""
    if not isinstance(asked.probes, bool) and task.name not in asked.probes:
        return "retention.probes does not name it"
    if task.kind == "regression":
        return "it is a regression, and a probe tells labels apart"
    if task.kind == "question_answering":
        return "its answers are spans of a text, and a probe tells labels of whole texts apart"
    return ""


def probes_left_out(study: StudySpec) -> list[str]:
    """A line for each task that `probes: true` cannot be asked of."""
    if study.retention is None or study.retention.probes is not True:
        return []
    reasons = {task.name: why_not_probed(task, study.retention) for task in study.tasks}
    return [f"no probe of {name}: {why}" for name, why in reasons.items() if why]


def check_probes(study: StudySpec, problems: list[str]) -> None:
    """Complains of probes of tasks that are not there or cannot be probed, and of probes that no run would have."""
    asked = study.retention
    if asked is None or not asked.probes:
        return
    tasks = {task.name: task for task in study.tasks}
    for name in () if isinstance(asked.probes, bool) else asked.probes:
        if name not in tasks:
            problems.append(f"retention.probes: '{name}' is not in this study. {did_you_mean(name, tasks)}")
        elif why := why_not_probed(tasks[name], asked):
            problems.append(f"retention.probes: {name} cannot be probed: {why}. Take it out")
    if not problems and (len(tasks) == 1 or all(why_not_probed(task, asked) for task in study.tasks)):
        problems.append(
            "retention.probes: a run is probed for the study's other classification tasks, and there is none. "
            "Add a task, or take probes out"
        )


def _of_base(
    study: StudySpec,
    model: BaseModelSpec,
    task: Classification,
    asked: RetentionSettings,
    is_decoder: bool,
    hashes: Mapping[str, str],
) -> ProbeCell:
    about = {"base_model": model.name, "task": task.name}
    config = _config(model, task, None, asked, is_decoder, hashes)
    return ProbeCell(
        base_model=model.name,
        task=task,
        trained_on=None,
        method=None,
        seed=None,
        job=Job(label=label_of(study, model, task.name, "base-probe"), config=config, about=about),
    )


def _of_run(
    model: BaseModelSpec,
    task: Classification,
    run: RunCell,
    asked: RetentionSettings,
    is_decoder: bool,
    hashes: Mapping[str, str],
) -> ProbeCell:
    about = {**run.evaluate.about, "task": task.name, "trained_on": run.task.name}
    config = _config(model, task, run.task, asked, is_decoder, hashes)
    return ProbeCell(
        base_model=model.name,
        task=task,
        trained_on=run.task.name,
        method=run.method,
        seed=run.seed,
        job=Job(label=f"{run.train.label}-probe-{task.name}", config=config, inputs={"run": run.train}, about=about),
    )


def _config(
    model: BaseModelSpec,
    task: Classification,
    trained_on: TaskSpec | None,
    asked: RetentionSettings,
    is_decoder: bool,
    hashes: Mapping[str, str],
) -> ProbeConfig:
    seen = as_probed(task, asked.probe_examples)
    return ProbeConfig(
        base_model=model,
        task=seen,
        files_sha256=hashes_of(seen, hashes),
        pooling=asked.probe_pooling or ("last_token" if is_decoder else "first_token"),
        run_kind=None if trained_on is None else trained_on.kind,
        run_labels=len(trained_on.labels) if isinstance(trained_on, Classification) else None,
    )
