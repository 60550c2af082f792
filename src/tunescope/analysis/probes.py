"""A plan and a store -> what each run's frozen states still say of the study's other tasks, beside its base model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunescope.analysis.collect import State, state_of
from tunescope.store import Store
from tunescope.study.plan import Plan
from tunescope.study.probe_jobs import ProbeCell


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A run's linear probe of a task that it was not trained on. `accuracy` is None unless `state` is done."""

    study: str
    base_model: str
    trained_on: str
    method: str
    seed: int
    probe_task: str
    majority_accuracy: float | None
    """The share of the report rows that bear the commonest label of the probe's train rows: what no state gives."""
    base_accuracy: float | None
    """The same probe fitted to the base model's states; None unless that job is done."""
    accuracy: float | None
    """Share of the report rows that the probe of the run's states labels rightly, 0 to 1."""
    num_train: int | None
    """Train rows of the probe."""
    num_examples: int | None
    """Report rows."""
    layer: str
    """The state that was read; empty where none was."""
    state: State
    reason: str
    """Why there is no accuracy, or no base accuracy beside it."""
    base_job: str
    job: str


def collect_probes(plan: Plan, store: Store) -> list[Probed]:
    """Every run and probed task that the study asks for, in the plan's order; those that failed or are missing included."""
    base = {(cell.base_model, cell.task.name): cell for cell in plan.probes if cell.trained_on is None}
    measured = {cell.job.id: _measured(cell, store) for cell in plan.probes}
    return [
        _row(plan, cell, base[cell.base_model, cell.task.name], measured)
        for cell in plan.probes
        if cell.trained_on is not None
    ]


def _measured(cell: ProbeCell, store: Store) -> tuple[State, str, dict[str, Any]]:
    state, reason = state_of(cell.job, store)
    return state, reason, dict(store.record(cell.job.kind, cell.job.id).facts) if state == "done" else {}


def _row(
    plan: Plan, cell: ProbeCell, base: ProbeCell, measured: dict[str, tuple[State, str, dict[str, Any]]]
) -> Probed:
    assert cell.trained_on is not None
    assert cell.method is not None
    assert cell.seed is not None
    state, reason, facts = measured[cell.job.id]
    _, base_reason, base_facts = measured[base.job.id]
    either = facts or base_facts  # both are of the same rows
    return Probed(
        study=plan.study.name,
        base_model=cell.base_model,
        trained_on=cell.trained_on,
        method=cell.method,
        seed=cell.seed,
        probe_task=cell.task.name,
        majority_accuracy=either.get("majority_accuracy"),
        base_accuracy=base_facts.get("accuracy"),
        accuracy=facts.get("accuracy"),
        num_train=either.get("num_train"),
        num_examples=either.get("num_examples"),
        layer=str(either.get("state", "")),
        state=state,
        reason=reason or (f"no probe of the base model: {base_reason}" if base_reason else ""),
        base_job=base.job.id,
        job=cell.job.id,
    )
