"""The learning rate over a run, as a plain function of the step."""

from __future__ import annotations

import math
from typing import Literal


def num_warmup_steps(num_steps: int, warmup_share: float) -> int:
    """Steps of warm-up: the share of all steps, rounded up as Hugging Face's `Trainer` does."""
    return math.ceil(num_steps * warmup_share)


def learning_rate_factor(
    step: int, *, num_steps: int, num_warmup: int, schedule: Literal["linear", "cosine", "constant"]
) -> float:
    """What the peak learning rate is multiplied with at optimiser step `step`, counted from 0.

    Rises linearly from 0 over the warm-up, then: linear, 1 to 0; cosine, (1 + cos(pi x)) / 2 over the rest of the
    run (Loshchilov & Hutter, 2017, arXiv:1608.03983, without restarts); constant, 1. The same conventions as
    `transformers.get_scheduler`.

    Returns:
        A factor in [0, 1].
    """
    if step < num_warmup:
        return step / max(1, num_warmup)
    if schedule == "constant":
        return 1.0
    progress = (step - num_warmup) / max(1, num_steps - num_warmup)
    if schedule == "cosine":
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
    return max(0.0, 1.0 - progress)
