"""A plan's sweeps and a store -> one tidy table: a row per trial, those that failed and those to come included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tunescope.analysis.collect import state_of
from tunescope.search.space import as_text
from tunescope.search.trial import Trial, TrialTraining, combined
from tunescope.steps.propose import read_wave
from tunescope.store import Store
from tunescope.study.job import Job
from tunescope.study.plan import Plan
from tunescope.study.sweeps import Sweep
from tunescope.tasks.scores import SCORES

TrialState = Literal["complete", "pruned", "failed", "missing"]


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial of one sweep. `score` is None where it failed or has not run."""

    study: str
    base_model: str
    task: str
    method: str
    trial: int
    state: TrialState
    metric: str
    score: float | None
    """On the selection rows, in the metric's own direction; of a pruned trial, when it was stopped."""
    standard_error: float | None
    num_examples: int | None
    is_best: bool
    is_default: bool
    values: str
    """What the sweep set, as JSON; empty where the trial has not ended."""
    effective_scale: float | None
    """Of LoRA: alpha / rank, or alpha / sqrt(rank) with rsLoRA."""
    num_scorings: int | None
    num_tokens: int | None
    num_tokens_planned: int | None
    train_s: float | None
    reason: str
    jobs: str
    """Ids of the trial's trainings."""


def collect_trials(plan: Plan, store: Store) -> list[TrialRow]:
    """Every trial of every sweep as the store knows it, in the plan's order."""
    return [row for sweep in plan.sweeps for row in _rows(plan, sweep, store)]


def selected_of(sweep: Sweep, store: Store) -> dict[str, Any] | None:
    """What a sweep's choice says; None where it has not been made, or is damaged."""
    if state_of(sweep.select, store)[0] != "done":
        return None
    folder = store.read_from(sweep.select.kind, sweep.select.id, "selected.json")
    content: dict[str, Any] = json.loads((folder / "selected.json").read_text(encoding="utf-8"))
    return content


def trials_of(sweep: Sweep, store: Store) -> list[Trial]:
    """The trials of a finished sweep, by number; none where it is not finished."""
    selected = selected_of(sweep, store)
    return [] if selected is None else [Trial.model_validate(trial) for trial in selected["trials"]]


def _rows(plan: Plan, sweep: Sweep, store: Store) -> Iterator[TrialRow]:
    selected = selected_of(sweep, store) or {}
    told = {trial.number: trial for trial in trials_of(sweep, store)}
    metric = next(task.primary_metric for task in plan.study.tasks if task.name == sweep.task)
    sign = 1.0 if SCORES[metric].higher_is_better else -1.0
    for number, jobs in enumerate(sweep.trials):
        trial = told.get(number) or _so_far(number, jobs, store)
        facts: list[dict[str, Any]] = [
            dict(store.record(job.kind, job.id).facts) for job in jobs if state_of(job, store)[0] == "done"
        ]
        settings = facts[0].get("settings_in_force", {}).get("method", {}) if facts else {}
        yield TrialRow(
            study=plan.study.name,
            base_model=sweep.base_model,
            task=sweep.task,
            method=sweep.method,
            trial=number,
            state="missing" if trial is None else trial.state,
            metric=metric,
            score=None if trial is None or trial.score is None else sign * trial.score,
            standard_error=None if trial is None else trial.standard_error,
            num_examples=None if trial is None else trial.num_examples,
            is_best=selected.get("trial") == number,
            is_default=selected.get("default_trial") == number,
            values="" if trial is None or not trial.values else as_text(trial.values),
            effective_scale=effective_scale(settings),
            num_scorings=None if trial is None else max((len(curve) for curve in trial.curves), default=0),
            num_tokens=None if trial is None else trial.num_tokens,
            num_tokens_planned=None if trial is None else trial.num_tokens_planned,
            train_s=sum(float(one["train_s"]) for one in facts) if facts else None,
            reason=_reason(trial, jobs, store),
            jobs=" ".join(job.id for job in jobs),
        )


def effective_scale(method: dict[str, Any]) -> float | None:
    """What LoRA's product of matrices is multiplied by: alpha / rank, alpha / sqrt(rank) with rsLoRA; None for others."""
    rank, alpha = method.get("rank"), method.get("alpha")
    if rank is None or alpha is None:
        return None
    return float(alpha) / (float(rank) ** 0.5 if method.get("use_rslora") else float(rank))


def _so_far(number: int, jobs: tuple[Job, ...], store: Store) -> Trial | None:
    """A trial of an unfinished sweep; None where one of its trainings has not ended."""
    trainings: list[TrialTraining | None] = []
    for job in jobs:
        if state_of(job, store)[0] == "done":
            folder = store.read_from(job.kind, job.id, "trial.json")
            text = (folder / "trial.json").read_text(encoding="utf-8")
            trainings.append(TrialTraining.model_validate_json(text))
        elif _failed(job, store):
            trainings.append(None)
        else:
            return None
    return combined(number, _proposed(number, jobs[0], store), trainings)


def _proposed(number: int, job: Job, store: Store) -> dict[str, Any]:
    """What a trial was to set; empty where its wave is gone or not there yet."""
    wave = job.inputs["proposals"]
    if state_of(wave, store)[0] != "done":
        return {}
    told = read_wave(store.read_from(wave.kind, wave.id))
    return told.values[number - told.first]


def _reason(trial: Trial | None, jobs: tuple[Job, ...], store: Store) -> str:
    """Why a trial has no score: the failures of its trainings, or what it waits for."""
    if trial is None:
        return state_of(jobs[0], store)[1]
    failures = dict.fromkeys(reason for job in jobs if (reason := _failed(job, store)))
    return "; ".join(failures) or trial.reason


def _failed(job: Job, store: Store) -> str:
    """Why a job failed, or what is wrong with what it left; empty where nothing is."""
    state, reason = state_of(job, store)
    return reason if state == "failed" else ""
