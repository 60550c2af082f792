"""What one training is made of, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunescope.study.settings import TrainingSettings

Curve = tuple[tuple[int, float], ...]
"""(number of the scoring, counted from 1; score of the selection rows then), undefined scores left out."""


@dataclass(frozen=True, kw_only=True)
class SelectionScore:
    """The selection rows' verdict on the weights as they are."""

    value: float | None
    """In the metric's own direction turned so that higher is better; None where it is undefined."""
    note: str = ""
    """Why it is undefined, or what is odd about the predictions."""
    details: dict[str, Any] = field(default_factory=dict)
    """What else came of it: every score, a threshold."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one training is made of. The loop knows nothing of tasks: rows have a length and a loss."""

    model: nn.Module
    lengths: np.ndarray
    """(num_rows,) tokens of each training row."""
    loss_sum: Callable[[np.ndarray], torch.Tensor]
    """Rows -> their summed loss, with a graph."""
    score: Callable[[], SelectionScore]
    """Scores the selection rows with the weights as they are."""
    settings: TrainingSettings
    seed: int
    head_names: frozenset[str]
    """Trainable tensors that belong to the task's head, not to the method."""
    scratch: Path
    """Folder of the checkpoint and the metric log."""
    padding_free: bool = False
    """Whether `loss_sum` computes the rows' own tokens only, so that portions are cut by their sum."""
    is_hopeless: Callable[[Curve], bool] = lambda curve: False
    """Asked after every scoring but the last: whether to stop, given the scores so far."""
    watch: Callable[[int, int], Mapping[str, Any] | None] = lambda step, num_steps: None
    """Asked after every step (the step, counted from 1; all steps) for what else is to be written into the metric log."""
    made_from: Mapping[str, str] = field(default_factory=dict)
    """What the run reads, by name, as fingerprints taken before it began; a checkpoint made from others is refused."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Library -> version: a run that was begun under others goes on, and says so."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came of a run; the model holds the weights that `settings.keep` asked for."""

    num_steps: int
    num_steps_planned: int
    kept_step: int
    selection: SelectionScore
    """Of the weights that were kept."""
    stopped_early: bool
    pruned: bool
    """Stopped as hopeless."""
    curve: Curve
    num_examples: int
    """Rows read in training, a row as often as it was read; for question answering windows of contexts."""
    num_tokens: int
    """Real tokens read in training."""
    num_tokens_planned: int
    """Those of all planned steps."""
    padding_share: float
    """Share of the computed tokens that were padding."""
    train_s: float
    """Seconds spent in optimiser steps, resumed parts included."""
    micro_batch_tokens: int
    """Tokens, padding included, computed at once in the end: fewer than asked for where they did not fit in memory."""
    resumed_from: int | None
    in_force: dict[str, Any]
    flags: tuple[str, ...]
    """What a reader should know, in words."""
