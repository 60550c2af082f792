"""Two real training steps of one run, in the loop that trains it: which tensors moved, and what it took."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunescope.hub.source import Source
from tunescope.models.checkpointing import enable_checkpointing
from tunescope.models.counts import ParameterCounts, count_parameters
from tunescope.models.network import Network
from tunescope.preflight.network import fingerprints
from tunescope.steps.context import StepContext
from tunescope.steps.inputs import network_for
from tunescope.steps.objective import Objective
from tunescope.steps.train import is_head, selection_score
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.data import Examples
from tunescope.tasks.encode import Encoded, encode
from tunescope.training.checkpoint import trainable
from tunescope.training.loop import train
from tunescope.training.metric_log import LOG_NAME, read_log
from tunescope.training.run import Run

NUM_STEPS = 2
"""LoRA's A has no gradient in the first step, because B is still zero; in the second it must move."""
_PORTIONS = 2
"""Micro-batches a step at most: enough for gradients to be added up."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run's config with real rows to try it on."""

    config: TrainConfig
    compute: Compute
    source: Source
    device: str
    num_threads: int
    train: Examples
    """More than two micro-batches' worth; the longest rows are taken."""
    selection: Examples
    """More than one evaluation batch's worth; the longest rows are taken."""


@dataclass(frozen=True, kw_only=True)
class Portion:
    """The rows that were computed."""

    num: int
    mean_tokens: float
    longest: int


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What two steps did."""

    losses: tuple[float, ...]
    step_s: float
    """Seconds of the last step."""
    trained: tuple[str, ...]
    """Names of the tensors that are to change."""
    head: tuple[str, ...]
    """Those of `trained` that are the head's."""
    unmoved: tuple[str, ...]
    """Those of `trained` that did not change."""
    without_gradient: tuple[str, ...]
    """Those of `trained` whose gradient was none or zero in the last step."""
    num_frozen: int
    """Parameters that are not to change."""
    moved_though_frozen: tuple[str, ...]
    """Those of them, and buffers, that did."""
    parameters: ParameterCounts
    train: Portion
    evaluation: Portion
    device_peak_gib: float | None
    """`torch.cuda.max_memory_allocated`; None on a CPU."""


def take_steps(trial: Trial) -> TrialResult:
    """Trains two steps on the longest rows and scores one evaluation batch, as the run itself would.

    The settings are the run's, except that the learning rate is constant from the first step on and nothing decays: so a
    tensor changes only if it learns.

    Raises:
        TunescopeError: If the config does not fit, or the training goes wrong.
    """
    config, compute = trial.config, trial.compute
    torch.set_num_threads(trial.num_threads)
    network = network_for(config.base_model, config.task, trial.source, seed=config.seed, device=trial.device)
    encoded = encode(config.task, trial.train, network.tokenizer, is_decoder=network.is_decoder)
    rows = longest_rows(encoded.lengths, _PORTIONS * compute.micro_batch_tokens, most=config.training.batch_size)
    model: Any = config.method.apply(network.model, config.task.kind, config.seed)
    if compute.gradient_checkpointing:
        enable_checkpointing(model)
    scored_examples, scored = _longest_examples(trial, network)
    context = StepContext(
        source=trial.source,
        compute=compute,
        device=trial.device,
        num_threads=trial.num_threads,
        report=lambda progress: None,
    )
    settings = trial_settings(config.training, num_steps=NUM_STEPS, batch_size=len(rows))
    objective = Objective(model, network, config, encoded, padding_free=compute.padding_free)
    before = fingerprints(model)
    learners = trainable(model)
    head = tuple(name for name in learners if is_head(name, network))
    with tempfile.TemporaryDirectory() as scratch:
        train(
            [
                Run(
                    model=model,
                    lengths=encoded.lengths[rows],
                    loss_sum=lambda places: objective(rows[places]),
                    padding_free=objective.padding_free,
                    score=lambda: selection_score(model, network, config, scored_examples, scored, context),
                    settings=settings,
                    seed=config.seed,
                    head_names=frozenset(head),
                    scratch=Path(scratch),
                )
            ],
            micro_batch_tokens=compute.micro_batch_tokens,
        )
        steps = [entry for entry in read_log(Path(scratch) / LOG_NAME) if entry["event"] == "step"]
    after = fingerprints(model)
    changed = {name for name, value in after.items() if before[name] != value}
    return TrialResult(
        losses=tuple(entry["loss"] for entry in steps),
        step_s=steps[-1]["seconds"],
        trained=tuple(learners),
        head=head,
        unmoved=tuple(name for name in learners if name not in changed),
        without_gradient=tuple(name for name, p in learners.items() if p.grad is None or not bool(p.grad.any())),
        num_frozen=sum(1 for _ in model.parameters()) - len(learners),
        moved_though_frozen=tuple(sorted(changed - learners.keys())),
        parameters=count_parameters(model),
        train=_portion(encoded.lengths[rows]),
        evaluation=_portion(scored.lengths),
        device_peak_gib=torch.cuda.max_memory_allocated() / 2**30 if trial.device != "cpu" else None,
    )


def trial_settings(settings: TrainingSettings, *, num_steps: int, batch_size: int) -> TrainingSettings:
    """A run's settings for a few steps at its full learning rate, scored once at the end."""
    return settings.updated(
        {
            "steps": num_steps,
            "batch_size": batch_size,
            "schedule": "constant",
            "warmup_share": 0.0,
            "weight_decay": 0.0,
            "evaluate_every": num_steps,
            "early_stopping_patience": None,
        }
    )


def longest_rows(lengths: np.ndarray, num_tokens: int, *, most: int) -> np.ndarray:
    """Row numbers, longest first, as many as pad to at most `num_tokens` tokens: one at least, `most` at most.

    Args:
        lengths: (n,) tokens of each row.
        num_tokens: Tokens, padding included.
        most: Rows.
    """
    order = np.argsort(lengths, kind="stable")[::-1]
    return order[: max(1, min(most, num_tokens // int(lengths[order[0]])))]


def _longest_examples(trial: Trial, network: Network) -> tuple[Examples, Encoded]:
    """The selection examples that fill one evaluation batch, and their tokens."""
    task, is_decoder = trial.config.task, network.is_decoder
    encoded = encode(task, trial.selection, network.tokenizer, is_decoder=is_decoder)
    rows = longest_rows(encoded.lengths, trial.compute.evaluation_batch_tokens, most=len(encoded))
    examples = trial.selection.take(sorted({int(encoded.example_index[row]) for row in rows}))
    return examples, encode(task, examples, network.tokenizer, is_decoder=is_decoder)


def _portion(lengths: np.ndarray) -> Portion:
    return Portion(num=len(lengths), mean_tokens=float(lengths.mean()), longest=int(lengths.max()))
