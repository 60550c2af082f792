"""What single runs retained -> the mean over a method's seeds: losses on plain text, probes of other tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunescope.analysis.probes import Probed
from tunescope.analysis.retention import Retained
from tunescope.analysis.seed_mean import seed_mean
from tunescope.stats.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class RetainedMean:
    """A method's loss on one source of plain text after training on one task."""

    base_model: str
    task: str
    method: str
    text: str
    base_loss: float | None
    """Nats per token, as are all losses here."""
    loss: Estimate
    """Over seeds, t, as are all estimates here."""
    loss_increase: Estimate
    """Tuned minus base."""
    perplexity: Estimate
    kl: Estimate
    num_tokens: int | None
    by_seed: tuple[tuple[int, float, str], ...]
    """Seed, loss, id of its job."""
    num_planned: int
    reason: str
    """Why runs are missing; empty where none is."""


@dataclass(frozen=True, kw_only=True)
class ProbedMean:
    """A method's linear probe of a task that it was not trained on."""

    base_model: str
    trained_on: str
    method: str
    probe_task: str
    base_accuracy: float | None
    majority_accuracy: float | None
    accuracy: Estimate
    """Over seeds, t."""
    by_seed: tuple[tuple[int, float, str], ...]
    """Seed, accuracy, id of its job."""
    num_planned: int
    num_examples: int | None
    reason: str


def retention_means(rows: Sequence[Retained]) -> list[RetainedMean]:
    """One entry per base model, text, task and method, in the rows' order."""
    grouped: dict[tuple[str, str, str, str], list[Retained]] = {}
    for row in rows:
        grouped.setdefault((row.base_model, row.task, row.method, row.text), []).append(row)
    means = []
    for (base_model, task, method, text), own in grouped.items():
        done = [row for row in own if row.tuned_loss is not None]
        increases = [
            row.tuned_loss - row.base_loss for row in own if row.tuned_loss is not None and row.base_loss is not None
        ]
        means.append(
            RetainedMean(
                base_model=base_model,
                task=task,
                method=method,
                text=text,
                base_loss=next((row.base_loss for row in done), None),
                loss=seed_mean([row.tuned_loss for row in own if row.tuned_loss is not None]),
                loss_increase=seed_mean(increases),
                perplexity=seed_mean([row.tuned_perplexity for row in own if row.tuned_perplexity is not None]),
                kl=seed_mean([row.kl for row in own if row.kl is not None]),
                num_tokens=next((row.num_tokens for row in done), None),
                by_seed=tuple((row.seed, row.tuned_loss, row.job) for row in own if row.tuned_loss is not None),
                num_planned=len(own),
                reason=_reasons(row.reason for row in own if row.state != "done"),
            )
        )
    return means


def probe_means(rows: Sequence[Probed]) -> list[ProbedMean]:
    """One entry per base model, task, method and probed task, in the rows' order."""
    grouped: dict[tuple[str, str, str, str], list[Probed]] = {}
    for row in rows:
        grouped.setdefault((row.base_model, row.trained_on, row.method, row.probe_task), []).append(row)
    return [
        ProbedMean(
            base_model=base_model,
            trained_on=trained_on,
            method=method,
            probe_task=probe_task,
            base_accuracy=next((row.base_accuracy for row in own if row.base_accuracy is not None), None),
            majority_accuracy=next((row.majority_accuracy for row in own if row.majority_accuracy is not None), None),
            accuracy=seed_mean([row.accuracy for row in own if row.accuracy is not None]),
            by_seed=tuple((row.seed, row.accuracy, row.job) for row in own if row.accuracy is not None),
            num_planned=len(own),
            num_examples=next((row.num_examples for row in own if row.num_examples is not None), None),
            reason=_reasons(row.reason for row in own),
        )
        for (base_model, trained_on, method, probe_task), own in grouped.items()
    ]


def _reasons(reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))
