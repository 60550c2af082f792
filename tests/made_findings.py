"""Findings made by hand, from numbers that a test can count on; shared by the tests of what a report says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from made_drift import made_block_updates, made_drift, made_layers
from made_scores import TEXT, Scored, made_comparisons, made_quality, made_rows, plan_of, score_of_run, train_s_of
from tunescope.analysis.curves import Curve, LossPoint, SelectionPoint
from tunescope.analysis.data_read import PartRead, TaskRead, Truncated
from tunescope.analysis.disagreements import Answer, Disagreement, Disagreements
from tunescope.analysis.findings import Findings
from tunescope.analysis.ledger import Cost, RelativeCost
from tunescope.analysis.provenance import Environment, JobLine, ModelRead, Provenance
from tunescope.analysis.quality import Level
from tunescope.analysis.settings_in_force import Setting, SettingDifference, SettingsInForce
from tunescope.analysis.sweeps import SweepSummary
from tunescope.analysis.trials import TrialRow
from tunescope.study.plan import Plan, RunCell

__all__ = ["TEXT", "made_findings", "plan_of", "relative_cost", "score_of_run", "sweep_summary", "trial_row"]

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def made_findings(plan: Plan, score: Scored = score_of_run) -> Findings:
    """Every table of a study that has run; `score` says each run's score, None of one that failed."""
    rows = tuple(made_rows(plan, score))
    done = [run for run in plan.runs if score(run, run.task.primary_metric) is not None]
    return Findings(
        plan=plan,
        rows=rows,
        quality=tuple(made_quality(plan, score)),
        levels=tuple(
            Level(
                base_model=None,
                task=cell.task.name,
                metric=cell.task.primary_metric,
                name=cell.baseline,
                seed=None,
                value=0.5,
                source="expectation" if cell.baseline == "random" else "",
                state="done",
                job=cell.job.id,
            )
            for cell in plan.baselines
            if cell.baseline in ("majority", "random")
        ),
        comparisons=tuple(made_comparisons(plan, score)),
        opinions=(),
        drift=tuple(made_drift(plan, done)) if plan.study.drift else (),
        layers=tuple(made_layers(plan, done)) if plan.study.drift else (),
        updates=(),
        block_updates=tuple(made_block_updates(done)) if plan.study.drift else (),
        retention=(),
        probes=(),
        sweeps=(),
        trials=(),
        costs=tuple(_costs(plan, done)),
        relative_costs=(),
        curves=tuple(_curve(run) for run in done),
        data=tuple(_data(plan)),
        settings=tuple(_settings(plan, done)),
        setting_differences=tuple(
            SettingDifference(
                base_model=model.name,
                task=task.name,
                name="method.rank",
                by_method=tuple((entry.name, "8" if entry.name == "lora" else "-") for entry in plan.study.methods),
            )
            for model in plan.study.base_models
            for task in plan.study.tasks
            if done
        ),
        disagreements=tuple(_disagreements(plan, done)),
        jobs=tuple(_jobs(plan, done)),
        provenance=_provenance(plan, done),
    )


def trial_row(
    plan: Plan, method: str, trial: int, score: float | None, values: dict[str, Any], **more: Any
) -> TrialRow:
    """One trial of the first task."""
    task = plan.study.tasks[0]
    given: dict[str, Any] = {
        "study": plan.study.name,
        "base_model": plan.study.base_models[0].name,
        "task": task.name,
        "method": method,
        "trial": trial,
        "state": "failed" if score is None else "complete",
        "metric": task.primary_metric,
        "score": score,
        "standard_error": None if score is None else 0.02,
        "num_examples": 400,
        "is_best": False,
        "is_default": False,
        "values": json.dumps(values),
        "effective_scale": None,
        "num_scorings": 4,
        "num_tokens": 1000,
        "num_tokens_planned": 1000,
        "train_s": 12.0,
        "reason": "" if score is not None else "loss is not finite",
        "jobs": plan.sweeps[0].trials[trial][0].id,
    }
    return TrialRow(**(given | more))


def sweep_summary(plan: Plan, method: str, **more: Any) -> SweepSummary:
    given: dict[str, Any] = {
        "place": (plan.study.base_models[0].name, plan.study.tasks[0].name, method),
        "title": f"{plan.study.tasks[0].name} {method}",
        "chosen": "trial 0 of 4 (4 complete)",
        "against_default": "",
        "budget": (),
        "budget_curve": "",
        "warnings": (),
    }
    return SweepSummary(**(given | more))


def _costs(plan: Plan, done: list[RunCell]) -> Iterator[Cost]:
    for base_model, task, method in dict.fromkeys((run.base_model, run.task.name, run.method) for run in plan.runs):
        own = [run for run in plan.runs if (run.base_model, run.task.name, run.method) == (base_model, task, method)]
        num_done = sum(run in done for run in own)
        yield Cost(
            kind="train",
            base_model=base_model,
            task=task,
            method=method,
            num_jobs=len(own),
            num_done=num_done,
            num_failed=len(own) - num_done,
            done_s=sum(train_s_of(run) for run in own if run in done),
            seconds=sum(train_s_of(run) for run in own if run in done),
            num_untimed=0,
            num_tokens=3000,
            peak_memory_gib=1.5 if num_done else None,
            gpu_peak_gib=None,
            gpu_seconds=0.0,
            price=None,
            predicted_s=None,
        )


def relative_cost(plan: Plan, task: str | None, method: str, **ratios: float | None) -> RelativeCost:
    given: dict[str, Any] = {"parameters_ratio": 1.0 / 900.0, "time_ratio": 0.6, "memory_ratio": None}
    return RelativeCost(
        base_model=plan.study.base_models[0].name,
        task=task,
        method=method,
        reference="full",
        num_tasks=len(plan.study.tasks),
        num_seeds=3,
        trainable_parameters=None if task is None else 1000.0,
        total_parameters=None if task is None else 900_000.0,
        train_s=None if task is None else 60.0,
        peak_memory_gib=None if task is None else 1.5,
        memory_of="process",
        **(given | ratios),
    )


def _curve(run: RunCell) -> Curve:
    return Curve(
        base_model=run.base_model,
        task=run.task.name,
        method=run.method,
        seed=run.seed,
        metric=run.task.primary_metric,
        loss=tuple(
            LossPoint(first_step=step, last_step=step, step=float(step), loss=1.0 / step + run.seed)
            for step in (1, 2, 3)
        ),
        is_binned=False,
        selection=(
            SelectionPoint(step=1, score=None, standard_error=None, note="undefined"),
            SelectionPoint(step=3, score=0.7, standard_error=0.02, note=""),
        ),
        num_steps=3,
        kept_step=3,
        stopped_early=False,
        job=run.train.id,
    )


def _data(plan: Plan) -> Iterator[TaskRead]:
    for task in plan.study.tasks:
        yield TaskRead(
            task=task.name,
            kind=task.kind,
            description="<script>alert(1)</script>",
            source="org/data",
            config=None,
            revision=None,
            license="unknown",
            max_length=256,
            metrics=task.metrics,
            parts=(
                PartRead(part="report", split="validation", num_examples=400, label_balance={"yes": 300, "no": 100}),
            ),
            truncated=tuple(
                Truncated(
                    base_model=model.name,
                    part="report",
                    num_examples=400,
                    num_truncated=2,
                    share_truncated=0.005,
                    num_tokens_lost=12,
                    job=plan.jobs[0].id,
                )
                for model in plan.study.base_models
            ),
            train_fingerprint="ab" * 32,
            report_fingerprint="",
            num_seen_before=None,
            share_seen_before=None,
            selection_kin={},
            job="",
            reason="",
        )


def _settings(plan: Plan, done: list[RunCell]) -> Iterator[SettingsInForce]:
    for base_model, task, method in dict.fromkeys((run.base_model, run.task.name, run.method) for run in done):
        yield SettingsInForce(
            base_model=base_model,
            task=task,
            method=method,
            num_seeds=3,
            settings=(
                Setting(name="optimiser", value='"AdamW"', by_seed=()),
                Setting(name="learning_rate", value="", by_seed=((1, "0.0001"), (2, "0.0002"))),
            ),
            jobs=tuple(
                run.train.id
                for run in done
                if (run.base_model, run.task.name, run.method) == (base_model, task, method)
            ),
        )


def _disagreements(plan: Plan, done: list[RunCell]) -> Iterator[Disagreements]:
    for base_model, task in dict.fromkeys((run.base_model, run.task.name) for run in done):
        own = [run for run in done if (run.base_model, run.task.name) == (base_model, task)]
        if len({run.method for run in own}) < 2:
            continue
        example = Disagreement(
            id="validation-7",
            texts=(("sentence1", "<script>alert(1)</script> \u05e9\u05dc\u05d5\u05dd"),),
            is_cut=False,
            target="yes",
            answers=tuple(
                Answer(
                    method=run.method,
                    seed=run.seed,
                    answer="yes" if run.method == "full" else "no",
                    score=1.0 if run.method == "full" else 0.0,
                    is_right=run.method == "full",
                    job=run.evaluate.id,
                )
                for run in own
            ),
            mean_scores={method: float(method == "full") for method in dict.fromkeys(run.method for run in own)},
            gap=1.0,
        )
        yield Disagreements(
            base_model=base_model,
            task=task,
            score_name="share right",
            num_examples=400,
            num_differing=1,
            num_runs=len(own),
            examples=(example,),
            reason="",
            job="",
        )


def _jobs(plan: Plan, done: list[RunCell]) -> Iterator[JobLine]:
    runs = {job.id: run for run in plan.runs for job in (run.train, run.evaluate)}
    for number, job in enumerate(plan.jobs):
        is_failed = job.id in runs and runs[job.id] not in done
        yield JobLine(
            id=job.id,
            kind=job.kind,
            label=job.label,
            base_model=None,
            task=None,
            method=None,
            seed=None,
            state="failed" if is_failed else "done",
            reason="out of memory" if is_failed else "",
            error="RunError" if is_failed else "",
            flags=(),
            is_wanted=True,
            seconds=1.0,
            peak_memory_gib=1.0,
            started_at=START + timedelta(minutes=number),
            record="" if is_failed else f"artifacts/{job.kind}/{job.id}/record.json",
            log=f"logs/{job.kind}-{job.id}.log",
            inputs=(),
        )


def _provenance(plan: Plan, done: list[RunCell]) -> Provenance:
    failed = 2 * (len(plan.runs) - len(done))
    return Provenance(
        study=plan.study.name,
        study_text="name: t\n# STUDY\n",
        store_format=1,
        num_done=len(plan.jobs) - failed,
        num_failed=failed,
        num_missing=0,
        first=START,
        last=START + timedelta(hours=1),
        environments=(
            Environment(
                hostname="node-a",
                system="Linux",
                processor="a processor",
                num_cores=2,
                memory_gib=16.0,
                gpus=(),
                python="3.11.7",
                commit="c" * 40,
                is_dirty=False,
                versions=(("torch", "2.13.0"),),
                num_jobs=len(plan.jobs),
                first=START,
                last=START + timedelta(hours=1),
            ),
        ),
        models=tuple(
            ModelRead(name=model.name, revision=None, fingerprints=("model bytes",)) for model in plan.study.base_models
        ),
        commands=("pip install tunescope", "tunescope run t.yaml --store t-store"),
    )
