"""Drift, updates and retention made by hand, from numbers that a test can count on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tunescope.analysis.drift import DriftResult, LayerDrift
from tunescope.analysis.probes import Probed
from tunescope.analysis.retention import Retained
from tunescope.analysis.updates import BlockUpdate
from tunescope.study.plan import Plan, RunCell

BLOCKS = ("embeddings", "block_01", "block_02", "final_norm")


def drift_of_run(run: RunCell) -> float:
    """0.30, 0.31, 0.32 of the seeds 1, 2, 3 of `full`; a third of it of any other method."""
    return (0.29 + 0.01 * run.seed) / (1.0 if run.method == "full" else 3.0)


def layer_row(cell: Any, compared: str, state: str, measure: str, value: float | None, **more: Any) -> LayerDrift:
    given: dict[str, Any] = {
        "study": "t",
        "base_model": cell.base_model,
        "task": cell.task.name,
        "method": cell.method,
        "seed": cell.seeds[0] if cell.seeds else None,
        "compared": compared,
        "step": None,
        "state": state,
        "other_state": state,
        "pooling": "last_token",
        "measure": measure,
        "value": value,
        "standard_error": 0.01,
        "ci_low": None if value is None else value - 0.02,
        "ci_high": None if value is None else value + 0.02,
        "num_examples": 400,
        "note": "",
        "job": cell.job.id,
    }
    return LayerDrift(**(given | more))


def retained(run: RunCell, job: str, base_loss: float, loss: float) -> Retained:
    return Retained(
        study="t",
        base_model=run.base_model,
        task=run.task.name,
        method=run.method,
        seed=run.seed,
        text="notes",
        num_texts=3,
        num_tokens=900,
        base_loss=base_loss,
        tuned_loss=loss,
        base_perplexity=2.0,
        tuned_perplexity=3.0,
        base_bits_per_character=1.0,
        tuned_bits_per_character=1.1,
        kl=0.25,
        state="done",
        reason="",
        job=job,
    )


def probed(run: RunCell, job: str, accuracy: float | None) -> Probed:
    return Probed(
        study="t",
        base_model=run.base_model,
        trained_on=run.task.name,
        method=run.method,
        seed=run.seed,
        probe_task="sst2",
        majority_accuracy=0.5,
        base_accuracy=0.75,
        accuracy=accuracy,
        num_train=100,
        num_examples=50,
        layer="final_norm",
        state="missing" if accuracy is None else "done",
        reason="not run yet" if accuracy is None else "",
        base_job=job,
        job=job,
    )


def made_drift(plan: Plan, done: list[RunCell]) -> Iterator[DriftResult]:
    for cell in plan.drift:
        if cell.what == "retention":
            continue
        runs = [
            run for run in done if (run.base_model, run.task.name, run.method) == _of(cell) and run.seed in cell.seeds
        ]
        if cell.what != "controls" and len(runs) < len(cell.seeds):
            continue
        names = {"run": ("tuned", "random_update"), "seeds": ("seeds",), "controls": ("base_again", "shuffled")}
        for compared in names[cell.what]:
            values = {"tuned": drift_of_run(runs[0]) if runs else 0.0, "shuffled": 0.99, "base_again": 0.0}
            yield DriftResult(
                study="t",
                base_model=cell.base_model,
                task=cell.task.name,
                method=cell.method,
                seed=cell.seeds[0] if cell.seeds else None,
                compared=compared,
                drift=values.get(compared, 0.02),
                num_examples=400,
                state="done",
                reason="",
                job=cell.job.id,
            )


def _of(cell: Any) -> tuple[str, str, str | None]:
    return (cell.base_model, cell.task.name, cell.method)


def made_layers(plan: Plan, done: list[RunCell]) -> Iterator[LayerDrift]:
    for cell in plan.drift:
        runs = [
            run for run in done if (run.base_model, run.task.name, run.method) == _of(cell) and run.seed in cell.seeds
        ]
        if cell.what == "run" and runs:
            for state in BLOCKS:
                yield layer_row(cell, "tuned", state, "debiased_linear_cka", 1.0 - drift_of_run(runs[0]))
                yield layer_row(cell, "tuned", state, "cosine", 0.9)
                for other in BLOCKS:
                    value = 1.0 if other == state else 0.25
                    yield layer_row(cell, "tuned", state, "layer_pairs", value, other_state=other)
        if cell.what == "controls":
            for state in BLOCKS:
                yield layer_row(cell, "base_again", state, "debiased_linear_cka", 1.0)
                yield layer_row(cell, "shuffled", state, "debiased_linear_cka", 0.01)


def made_block_updates(done: list[RunCell]) -> Iterator[BlockUpdate]:
    cells = dict.fromkeys((run.base_model, run.task.name, run.method) for run in done)
    for base_model, task, method in cells:
        runs = [run for run in done if (run.base_model, run.task.name, run.method) == (base_model, task, method)]
        for seed in [*(run.seed for run in runs), None]:
            for block in (0, 1, None):
                yield BlockUpdate(
                    base_model=base_model,
                    task=task,
                    method=method,
                    seed=seed,
                    num_seeds=len(runs) if seed is None else 1,
                    block=block,
                    num_parameters=4,
                    update_norm=0.5,
                    relative_norm=0.125,
                    share_changed=0.5,
                    effective_rank=8.0,
                    stable_rank=2.0,
                    intruders=None,
                    random_intruders=None,
                    jobs=tuple(run.train.id for run in runs if seed in (None, run.seed)),
                )
