"""A plan and a store -> one tidy table: a row per run or baseline and score, failed and missing ones included."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunescope.analysis.memory import training_memory
from tunescope.errors import StoreError
from tunescope.store import Store
from tunescope.study.job import Job
from tunescope.study.plan import BaselineCell, Plan, RunCell

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["done", "failed", "missing"]

METRICS_NAME = "metrics.json"


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One score of one run or baseline. `value` is None unless `state` is done and the score is defined."""

    study: str
    base_model: str | None
    task: str
    kind: Literal["run", "baseline"]
    method: str
    """The method's name in the study, or the baseline's."""
    seed: int | None
    split: str | None
    """The data set's split that was scored; None for published figures."""
    metric: str
    value: float | None
    """In the metric's own unit: shares of one, not percent."""
    num_examples: int | None
    state: State
    reason: str
    """Why there is no value, the source of a published figure, or what else to know of the value."""
    flags: str
    """What is odd about the run, in words; empty where nothing is."""
    trainable_parameters: int | None
    total_parameters: int | None
    num_steps: int | None
    kept_step: int | None
    truncated_share: float | None
    """Share of the scored examples that lost text to max_length."""
    train_s: float | None
    evaluate_s: float | None
    peak_memory_gib: float | None
    """Of the training, as `memory.training_memory` has it; None where the record cannot tell it from earlier jobs'."""
    train_job: str | None
    job: str
    """Id of the job the value comes from."""


def collect(plan: Plan, store: Store) -> list[ResultRow]:
    """Every cell of the plan as the store knows it, in the plan's order."""
    twins = _identical_weights(plan.runs, store)
    rows: list[ResultRow] = []
    for run in plan.runs:
        rows.extend(_run_rows(plan, run, store, twins))
    for cell in plan.baselines:
        rows.extend(_baseline_rows(plan, cell, store))
    return rows


def state_of(job: Job, store: Store, *reads: str) -> tuple[State, str]:
    """Whether a job's artifact is there, and why not. One that is not whole counts as failed; it hides no other.

    Args:
        job: Of a plan.
        store: Where its artifact would be.
        *reads: Of a job that keeps much, the files that are to be read. Their bytes are compared with the record, those of
            other jobs always: whatever tells of a job says the same of it.
    """
    try:
        if store.artifact(job.kind, job.id) is not None:
            if reads or not job.config.keeps_much:
                store.read_from(job.kind, job.id, *(reads if job.config.keeps_much else ()))
            return "done", ""
        failed = _first_failed(job, store)
    except StoreError as error:
        return "failed", str(error)
    if failed is None:
        return "missing", "not run yet"
    cause, reason = failed
    return ("failed", reason) if cause is job else ("missing", f"waits for {cause.label}, which failed: {reason}")


def state_of_run(run: RunCell, store: Store) -> tuple[State, str]:
    """As `state_of` for a run's evaluation; the training that it comes from must be whole too."""
    state, reason = state_of(run.evaluate, store)
    if state == "done":
        trained, why = state_of(run.train, store)
        return (trained, why) if trained == "failed" else (state, reason)
    failed = _first_failed(run.evaluate, store) if state == "missing" else None
    if failed is None:
        return state, reason
    cause, why = failed
    return "failed", why if cause is run.train else reason  # of a run, whichever of its jobs it was


def as_table(rows: Sequence[Any], kind: type[Any] = ResultRow) -> pa.Table:
    """The rows, frozen dataclasses of one kind, as an Arrow table: a column per field."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema(
        [(field.name, kinds.get(str(field.type).removesuffix(" | None"), pa.string())) for field in fields(kind)]
    )
    return pa.Table.from_pylist([vars(row) for row in rows], schema=schema)


def _first_failed(job: Job, store: Store) -> tuple[Job, str] | None:
    """The job itself or one below it, at any remove, that failed, and its reason."""
    if store.artifact(job.kind, job.id) is not None:
        return None
    failure = store.failure(job.kind, job.id)
    if failure is not None:
        return job, failure.reason
    return next((found for needed in job.inputs.values() if (found := _first_failed(needed, store))), None)


def _run_rows(plan: Plan, run: RunCell, store: Store, twins: dict[str, str]) -> list[ResultRow]:
    state, reason = state_of_run(run, store)
    scores: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    if state_of(run.train, store)[0] == "done":
        facts |= store.record(run.train.kind, run.train.id).facts
    if state == "done":
        scores = _metrics(run.evaluate, store)
        evaluated = store.record(run.evaluate.kind, run.evaluate.id).facts
        flags = [*_strings(facts.get("flags")), *_strings(evaluated.get("flags"))]
        facts |= {
            "evaluate_s": evaluated["evaluate_s"],
            "truncation": evaluated["truncation"],
            "flags": flags + ([twins[run.train.id]] if run.train.id in twins else []),
        }
    return [
        _row(
            plan,
            about=run.train.about,
            kind="run",
            method=run.method,
            split=run.task.report_split,
            metric=metric,
            value=scores.get("scores", {}).get(metric),
            num_examples=scores.get("num_examples"),
            state=state,
            reason=reason or scores.get("undefined", {}).get(metric, ""),
            facts=facts,
            job=run.evaluate,
            train=run.train,
            peak=training_memory(store.record(run.train.kind, run.train.id)) if facts else None,
        )
        for metric in run.task.metrics
    ]


def _baseline_rows(plan: Plan, cell: BaselineCell, store: Store) -> list[ResultRow]:
    state, reason = state_of(cell.job, store)
    content = _metrics(cell.job, store) if state == "done" else {}
    facts = store.record(cell.job.kind, cell.job.id).facts if state == "done" else {}
    common: dict[str, Any] = {
        "about": cell.job.about,
        "kind": "baseline",
        "state": state,
        "facts": facts,
        "job": cell.job,
    }
    if cell.baseline == "reference":
        return [
            _row(
                plan,
                method="reference",
                split=None,
                metric=cited.metric,
                value=cited.value if state == "done" else None,
                num_examples=None,
                reason=reason or cited.source,
                **common,
            )
            for cited in cell.task.references
        ]
    rows = [
        _row(
            plan,
            method=cell.baseline,
            split=cell.task.report_split,
            metric=metric,
            value=content.get("scores", {}).get(metric),
            num_examples=content.get("num_examples"),
            reason=reason
            or content.get("undefined", {}).get(metric, "expectation" if cell.baseline == "random" else ""),
            **common,
        )
        for metric in cell.task.metrics
    ]
    for seed, values in content.get("draws", {}).items():
        for metric, value in values.items():
            drawn = common | {"about": {**cell.job.about, "seed": int(seed)}}
            rows.append(
                _row(
                    plan,
                    method="random",
                    split=cell.task.report_split,
                    metric=metric,
                    value=value,
                    num_examples=content["num_examples"],
                    reason="one draw",
                    **drawn,
                )
            )
    return rows


def _row(
    plan: Plan,
    *,
    about: Any,
    kind: Literal["run", "baseline"],
    method: str,
    split: str | None,
    metric: str,
    value: float | None,
    num_examples: int | None,
    state: State,
    reason: str,
    facts: dict[str, Any],
    job: Job,
    train: Job | None = None,
    peak: float | None = None,
) -> ResultRow:
    parameters = facts.get("parameters", {})
    truncation = facts.get("truncation", {})
    examples = truncation.get("num_examples")
    return ResultRow(
        study=plan.study.name,
        base_model=about.get("base_model"),
        task=str(about["task"]),
        kind=kind,
        method=method,
        seed=about.get("seed"),
        split=split,
        metric=metric,
        value=value,
        num_examples=num_examples,
        state=state,
        reason=reason,
        flags="; ".join(_strings(facts.get("flags"))),
        trainable_parameters=parameters.get("trainable"),
        total_parameters=parameters.get("total"),
        num_steps=facts.get("num_steps"),
        kept_step=facts.get("kept_step"),
        truncated_share=truncation["num_truncated"] / examples if examples else None,
        train_s=facts.get("train_s"),
        evaluate_s=facts.get("evaluate_s"),
        peak_memory_gib=peak,
        train_job=None if train is None else train.id,
        job=job.id,
    )


def _metrics(job: Job, store: Store) -> dict[str, Any]:
    folder = store.read_from(job.kind, job.id, METRICS_NAME)
    content: dict[str, Any] = json.loads((folder / METRICS_NAME).read_text(encoding="utf-8"))
    return content


def _identical_weights(runs: Sequence[RunCell], store: Store) -> dict[str, str]:
    """Training job id -> what to say, for runs whose trained tensors equal those of another seed bit for bit."""
    by_weights: defaultdict[tuple[str, str, str, str], list[RunCell]] = defaultdict(list)
    for run in runs:
        if state_of(run.train, store)[0] == "done":
            digest = str(store.record(run.train.kind, run.train.id).facts["weights_sha256"])
            by_weights[(run.base_model, run.task.name, run.method, digest)].append(run)
    return {
        run.train.id: f"seeds {', '.join(str(twin.seed) for twin in twins)} ended with identical weights: the seed had no effect"
        for twins in by_weights.values()
        if len(twins) > 1
        for run in twins
    }


def _strings(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def log_of(job: Job, store: Store) -> Path:
    """The log of a job's last attempt."""
    return store.log_file(job.kind, job.id)
