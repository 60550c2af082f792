"""The gradient of one optimiser step: of the mean loss over its rows, in portions that fit in memory."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from tunescope.inference.out_of_memory import TokensAtOnce, first_line, give_back_memory, is_out_of_memory
from tunescope.training.order import computed_tokens, micro_batches
from tunescope.training.run import Run

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Computed:
    """What was computed for a step, beside the gradients that the model's parameters hold."""

    loss: float
    """Mean over the step's rows."""
    num_tokens: int
    """Tokens computed, padding included."""


def compute_gradients(
    run: Run,
    rows: np.ndarray,
    *,
    step: int,
    device: torch.device,
    at_once: TokensAtOnce,
    on_lowered: Callable[[], None],
) -> Computed:
    """Leaves the gradient of the mean loss over the rows in the model's parameters, which must hold none.

    Where a portion does not fit in memory, what was computed of the step is dropped, and the step is computed again with
    fewer tokens at once. Its random numbers follow from seed and step, so only rounding differs; dropout's masks follow the
    portions' shapes, so with dropout it is another draw of the same objective.

    Args:
        run: Its model and loss.
        rows: (b,) rows of the step.
        step: Number of the step, counted from 0.
        device: Where the model lies.
        at_once: Lowered in place.
        on_lowered: Told whenever it was.

    Raises:
        RuntimeError, MemoryError: Of the loss or its backward pass; out of memory only if a single row does not fit.
    """
    while True:
        tried: list[np.ndarray] = []
        try:
            with seeded(step_seed(run.seed, step), device):
                return _in_portions(run, rows, at_once.used, tried)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not tried or not at_once.lower(len(tried[-1]), _computed(run, tried[-1])):
                raise
            _LOG.warning("%s (%s)", at_once.told(at=f"at step {step + 1}"), first_line(error))
        # Here the error is gone, and with it the tensors that its traceback held.
        for parameter in run.model.parameters():
            parameter.grad = None
        give_back_memory()
        on_lowered()


def _in_portions(run: Run, rows: np.ndarray, max_tokens: int, tried: list[np.ndarray]) -> Computed:
    """One try; `tried` gets each portion before it is computed."""
    total = torch.zeros((), dtype=torch.float64)
    num_tokens = 0
    for portion in micro_batches(rows, run.lengths, max_tokens, padding_free=run.padding_free):
        tried.append(portion)
        loss = run.loss_sum(portion) / len(rows)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach().double().cpu()
        num_tokens += _computed(run, portion)
    return Computed(loss=float(total), num_tokens=num_tokens)


def _computed(run: Run, portion: np.ndarray) -> int:
    return computed_tokens(portion, run.lengths, padding_free=run.padding_free)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's random numbers follow from `seed` inside, and are as they were afterwards.

    Of the CPU and a CUDA device the generators are set directly, to what `torch.manual_seed` makes them: that asks every kind of
    device there is, half a millisecond a step.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        if device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        elif device.type == "cuda":
            torch.default_generator.manual_seed(seed)
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        yield


def step_seed(seed: int, step: int) -> int:
    """The seed of dropout at one optimiser step: any step can be computed again without those before it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{step}".encode()).digest()[:8], "big") % 2**63
