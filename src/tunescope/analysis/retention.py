"""A plan and a store -> what each run's backbone still makes of plain text, beside its base model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tunescope.analysis.collect import State, state_of
from tunescope.drift.kept import RETENTION_NAME
from tunescope.store import Store
from tunescope.study.configs import RetentionConfig
from tunescope.study.drift_jobs import DriftCell
from tunescope.study.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Retained:
    """A run's loss on one source of plain text. Numbers are None unless `state` is done."""

    study: str
    base_model: str
    task: str
    """What the run was trained on."""
    method: str
    seed: int
    text: str
    num_texts: int | None
    num_tokens: int | None
    base_loss: float | None
    """Nats per token."""
    tuned_loss: float | None
    base_perplexity: float | None
    tuned_perplexity: float | None
    base_bits_per_character: float | None
    tuned_bits_per_character: float | None
    kl: float | None
    """Mean KL(base || tuned) of the next-token distributions, nats per token."""
    state: State
    reason: str
    job: str


def collect_retention(plan: Plan, store: Store) -> list[Retained]:
    """Every run and text source that the study asks for, in the plan's order."""
    return [row for cell in plan.drift if cell.what == "retention" for row in _rows(plan, cell, store)]


def _rows(plan: Plan, cell: DriftCell, store: Store) -> Iterator[Retained]:
    config = cell.job.config
    assert isinstance(config, RetentionConfig)
    assert cell.method is not None
    state, reason = state_of(cell.job, store, RETENTION_NAME)
    measured: dict[str, dict[str, float]] = {}
    if state == "done":
        folder = store.read_from(cell.job.kind, cell.job.id, RETENTION_NAME)
        measured = json.loads((folder / RETENTION_NAME).read_text(encoding="utf-8"))
    for source in config.texts:
        found = measured.get(source.name, {})
        counts = {name: int(found[name]) if found else None for name in ("num_texts", "num_tokens")}
        yield Retained(
            study=plan.study.name,
            base_model=cell.base_model,
            task=cell.task.name,
            method=cell.method,
            seed=cell.seeds[0],
            text=source.name,
            num_texts=counts["num_texts"],
            num_tokens=counts["num_tokens"],
            base_loss=found.get("base_loss"),
            tuned_loss=found.get("tuned_loss"),
            base_perplexity=found.get("base_perplexity"),
            tuned_perplexity=found.get("tuned_perplexity"),
            base_bits_per_character=found.get("base_bits_per_character"),
            tuned_bits_per_character=found.get("tuned_bits_per_character"),
            kl=found.get("kl"),
            state=state,
            reason=reason,
            job=cell.job.id,
        )
