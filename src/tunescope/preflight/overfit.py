"""Whether a method can learn ten examples by heart: a model that cannot will learn nothing from ten thousand."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tunescope.models.checkpointing import enable_checkpointing
from tunescope.preflight.finding import Finding, Status
from tunescope.preflight.trial import Trial, trial_settings
from tunescope.steps.inputs import network_for
from tunescope.steps.objective import Objective
from tunescope.steps.train import is_head
from tunescope.tasks.encode import encode
from tunescope.tasks.spec import TaskSpec
from tunescope.training.checkpoint import trainable
from tunescope.training.loop import train
from tunescope.training.progress import Progress
from tunescope.training.run import Run, SelectionScore

NUM_EXAMPLES = 10
MAX_STEPS = 150
FACTORS = (1.0, 10.0)
"""Times the run's learning rate; made for many steps, it may be too low for these few."""
_SHARE_LEFT = 0.2
_SHARE_LEFT_HEAD_ONLY = 0.9
"""Frozen features need not tell ten examples apart, so a head alone must only make a beginning."""
_OF_CHANCE = 0.1


@dataclass(frozen=True, kw_only=True)
class OverfitResult:
    """How the loss on the ten examples fell."""

    learned: bool
    first_loss: float
    best_loss: float
    target: float
    num_steps: int
    """Steps taken at the last learning rate that was tried."""
    factor: float
    """Times the run's learning rate."""


def overfit(trial: Trial) -> OverfitResult:
    """Trains on `trial.train` alone, all of it at each step, until its loss is low enough or the steps are used up.

    Low enough is a fifth of the first loss, or a tenth of what knowing nothing costs (the log of the number of labels);
    for `head_only` nine tenths of the first loss.

    Raises:
        TunescopeError: If the config does not fit, or a loss is not finite.
    """
    torch.set_num_threads(trial.num_threads)
    result = _tried(trial, FACTORS[0])
    for factor in FACTORS[1:]:
        if not result.learned:
            result = _tried(trial, factor)
    return result


def judge_overfit(subject: str, method_kind: str, learning_rate: float, result: OverfitResult) -> Finding:
    """Puts it into words: a fault where not even ten examples were learnt."""
    rate = f"learning rate {learning_rate * result.factor:g}"
    fell = f"loss {result.first_loss:.3f} -> {result.best_loss:.3f}, to reach: {result.target:.3f}"
    status: Status = "ok"
    if not result.learned:
        status = "fault"
        message = (
            f"{NUM_EXAMPLES} examples are not learnt in {result.num_steps} steps, not even at {result.factor:g} times the "
            f"learning rate ({rate}): {fell}. Raise learning_rate, or give the method more to train"
        )
    elif result.factor > 1.0:
        status = "note"
        message = (
            f"{NUM_EXAMPLES} examples are learnt in {result.num_steps} steps only at {result.factor:g} times the learning "
            f"rate ({rate}): {fell}. A run of few steps may learn too little"
        )
    else:
        message = f"{NUM_EXAMPLES} examples are learnt in {result.num_steps} steps at {rate}: {fell}"
    if method_kind == "head_only":
        message += " (a head alone must only make a beginning)"
    return Finding(section="overfit", subject=subject, status=status, message=message)


def target_loss(task: TaskSpec, method_kind: str, first_loss: float) -> float:
    """The loss at which ten examples count as learnt; see `overfit`."""
    if method_kind == "head_only":
        return _SHARE_LEFT_HEAD_ONLY * first_loss
    by_start = _SHARE_LEFT * first_loss
    if task.kind != "classification":
        return by_start
    return max(by_start, _OF_CHANCE * math.log(len(task.labels)))


class _LearntError(Exception):
    """The loss is low enough: the loop may stop."""


def _tried(trial: Trial, factor: float) -> OverfitResult:
    config = trial.config
    network = network_for(config.base_model, config.task, trial.source, seed=config.seed, device=trial.device)
    encoded = encode(config.task, trial.train, network.tokenizer, is_decoder=network.is_decoder)
    model: Any = config.method.apply(network.model, config.task.kind, config.seed)
    if trial.compute.gradient_checkpointing:
        enable_checkpointing(model)
    settings = trial_settings(config.training, num_steps=MAX_STEPS, batch_size=len(encoded)).updated(
        {"learning_rate": min(10.0, config.training.learning_rate * factor), "keep": "last", "label_smoothing": 0.0}
    )
    losses: list[float] = []
    unsmoothed = config.model_copy(update={"training": settings})
    objective = Objective(model, network, unsmoothed, encoded, padding_free=trial.compute.padding_free)

    with tempfile.TemporaryDirectory() as scratch:
        run = Run(
            model=model,
            lengths=encoded.lengths,
            loss_sum=objective,
            padding_free=objective.padding_free,
            score=lambda: SelectionScore(value=None, note="not scored"),
            settings=settings,
            seed=config.seed,
            head_names=frozenset(name for name in trainable(model) if is_head(name, network)),
            scratch=Path(scratch),
        )
        try:
            train(
                [run],
                micro_batch_tokens=trial.compute.micro_batch_tokens,
                report=_watch(config.task, config.method_kind, losses),
            )
        except _LearntError:
            learned = True
        else:
            learned = False
    return OverfitResult(
        learned=learned,
        first_loss=losses[0],
        best_loss=min(losses),
        target=target_loss(config.task, config.method_kind, losses[0]),
        num_steps=len(losses),
        factor=factor,
    )


def _watch(task: TaskSpec, method_kind: str, losses: list[float]) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        losses.append(progress.loss)
        if len(losses) > 1 and progress.loss <= target_loss(task, method_kind, losses[0]):
            raise _LearntError

    return report
