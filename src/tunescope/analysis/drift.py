"""A plan and a store -> how far each run drifted, with the controls, in one tidy table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunescope.analysis.collect import State, state_of
from tunescope.drift.kept import STATES_NAME
from tunescope.store import Store
from tunescope.study.configs import TrainConfig
from tunescope.study.drift import DRIFT_MEASURE
from tunescope.study.drift_jobs import DriftCell
from tunescope.study.plan import Plan, RunCell
from tunescope.training.metric_log import LOG_NAME, read_log


@dataclass(frozen=True, kw_only=True)
class DriftResult:
    """A drift that a job measured: one minus the debiased linear CKA, averaged over blocks."""

    study: str
    base_model: str
    task: str
    method: str | None
    """None for controls that hold for all methods."""
    seed: int | None
    compared: str
    """`tuned`, or the control's name: random_update, seeds, base_again, bf16, shuffled, random_network, untrained NAME."""
    drift: float | None
    num_examples: int | None
    state: State
    reason: str
    job: str


@dataclass(frozen=True, kw_only=True)
class LayerDrift:
    """One measure of one layer of one run or control."""

    study: str
    base_model: str
    task: str
    method: str | None
    seed: int | None
    compared: str
    step: int | None
    """Of the training, where drift was followed through it, on a few selection rows; None: of the weights that were kept."""
    state: str
    other_state: str
    pooling: str
    measure: str
    value: float | None
    standard_error: float | None
    ci_low: float | None
    ci_high: float | None
    num_examples: int
    note: str
    job: str


def collect_drift(plan: Plan, store: Store) -> list[DriftResult]:
    """Every drift that the study asks for, in the plan's order; those that failed or are missing included."""
    return [result for cell in plan.drift if cell.what != "retention" for result in _results(plan, cell, store)]


def collect_layers(plan: Plan, store: Store) -> list[LayerDrift]:
    """Every layer and measure of the jobs that are done."""
    layers = [row for cell in plan.drift if cell.what != "retention" for row in _layers(plan, cell, store)]
    return layers + [row for run in plan.runs for row in _curve(plan, run, store)]


def drift_of(run: RunCell, plan: Plan, store: Store) -> tuple[float | None, str]:
    """A run's drift from its base model, or why there is none."""
    for cell in plan.drift:
        if cell.what == "run" and cell.job.inputs["run"].id == run.train.id and cell.task.name == run.task.name:
            result = next(_results(plan, cell, store))
            return result.drift, result.reason
    return None, "the study has no `drift:` section"


def _results(plan: Plan, cell: DriftCell, store: Store) -> Iterator[DriftResult]:
    state, reason = state_of(cell.job, store)
    measured: dict[str, Any] = (
        {"seeds" if cell.what == "seeds" else "tuned": None} if cell.method else {"controls": None}
    )
    num_examples, notes = None, ""
    if state == "done":
        facts: dict[str, Any] = dict(store.record(cell.job.kind, cell.job.id).facts)
        measured, num_examples = dict(facts["drift"]), int(facts["num_examples"])
        notes = "; ".join(facts.get("notes", ()))
    for compared, value in measured.items():
        undefined = (compared == "random_update" and notes) or "its CKA is not defined in a block; see its layers"
        why = reason or ("" if value is not None else undefined)
        yield DriftResult(
            study=plan.study.name,
            base_model=cell.base_model,
            task=cell.task.name,
            method=cell.method,
            seed=cell.seeds[0] if cell.seeds else None,
            compared=compared,
            drift=None if value is None else float(value),
            num_examples=num_examples,
            state=state,
            reason=why,
            job=cell.job.id,
        )


def _layers(plan: Plan, cell: DriftCell, store: Store) -> Iterator[LayerDrift]:
    import pyarrow.parquet as pq

    if state_of(cell.job, store)[0] != "done":
        return
    folder = store.read_from(cell.job.kind, cell.job.id, STATES_NAME)
    for row in pq.read_table(folder / STATES_NAME).to_pylist():
        yield LayerDrift(
            study=plan.study.name,
            base_model=cell.base_model,
            task=cell.task.name,
            method=cell.method,
            seed=cell.seeds[0] if cell.seeds else None,
            step=None,
            job=cell.job.id,
            **row,
        )


def _curve(plan: Plan, run: RunCell, store: Store) -> Iterator[LayerDrift]:
    """What a run's metric log says of its drift on the way."""
    config = run.train.config
    if not isinstance(config, TrainConfig) or config.watch_drift is None:
        return
    if state_of(run.train, store, LOG_NAME)[0] != "done":
        return
    folder = store.read_from(run.train.kind, run.train.id, LOG_NAME)
    for entry in read_log(folder / LOG_NAME):
        for state, value in entry["cka"].items() if entry["event"] == "watched" else ():
            yield LayerDrift(
                study=plan.study.name,
                base_model=run.base_model,
                task=run.task.name,
                method=run.method,
                seed=run.seed,
                compared="tuned",
                step=entry["step"],
                state=state,
                other_state=state,
                pooling=config.watch_pooling,
                measure=DRIFT_MEASURE,
                value=value,
                standard_error=None,
                ci_low=None,
                ci_high=None,
                num_examples=entry["num_examples"],
                note="" if value is not None else "not defined: the examples' states are all alike",
                job=run.train.id,
            )


def by_cell(results: Sequence[DriftResult]) -> dict[tuple[str, str], list[DriftResult]]:
    """Base model and task -> its drifts."""
    grouped: dict[tuple[str, str], list[DriftResult]] = {}
    for result in results:
        grouped.setdefault((result.base_model, result.task), []).append(result)
    return grouped
