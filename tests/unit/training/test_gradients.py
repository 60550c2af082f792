"""A step that does not fit in memory is computed again in smaller portions, as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunescope.inference.out_of_memory import TokensAtOnce
from tunescope.study.settings import TrainingSettings
from tunescope.training.gradients import compute_gradients
from tunescope.training.run import Run, SelectionScore

NUM_ROWS = 16
LENGTH = 10


def _run(folder: Path, *, dropout: float = 0.0) -> Run:
    draw = np.random.default_rng(5)
    x = torch.tensor(draw.normal(size=(NUM_ROWS, 6)), dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))

    def loss_sum(rows: np.ndarray) -> torch.Tensor:
        return (model(x[rows]) ** 2).sum()

    return Run(
        model=model,
        lengths=np.full(NUM_ROWS, LENGTH),
        loss_sum=loss_sum,
        score=lambda: SelectionScore(value=None),
        settings=TrainingSettings(learning_rate=1e-3, batch_size=NUM_ROWS, epochs=1),
        seed=3,
        head_names=frozenset(),
        scratch=folder,
    )


def _gradients(run: Run, at_once: TokensAtOnce, on_lowered: Callable[[], None] = lambda: None) -> dict[str, Any]:
    rows = np.arange(NUM_ROWS)
    computed = compute_gradients(run, rows, step=7, device=torch.device("cpu"), at_once=at_once, on_lowered=on_lowered)
    grads: dict[str, Any] = {}
    for name, parameter in run.model.named_parameters():
        assert parameter.grad is not None
        grads[name] = parameter.grad.clone()
        parameter.grad = None
    return grads | {"loss": torch.tensor(computed.loss), "tokens": torch.tensor(computed.num_tokens)}


def _failing(run: Run, error: Exception, *, most: int, in_backward: bool, after: int = 0) -> Run:
    """The run, whose portions of more than `most` rows fail once `after` portions were computed."""
    calls = 0

    def loss_sum(rows: np.ndarray) -> torch.Tensor:
        nonlocal calls
        calls += 1
        loss = run.loss_sum(rows)
        if len(rows) > most and calls > after:
            if not in_backward:
                raise error

            def fail(grad: torch.Tensor) -> torch.Tensor:
                raise error

            loss.register_hook(fail)
        return loss

    return replace(run, loss_sum=loss_sum)


@pytest.mark.parametrize("in_backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), RuntimeError("can't allocate memory: 9")]
)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_gradient_is_that_of_smaller_portions_from_the_start(
    tmp_path: Path, error: Exception, in_backward: bool, dropout: float
) -> None:
    run = _run(tmp_path, dropout=dropout)
    small = _gradients(run, TokensAtOnce(40))
    at_once = TokensAtOnce(80)
    lowered: list[int] = []
    # The first portion of 8 rows was computed, and its gradient added, before the second fails.
    failing = _failing(run, error, most=4, in_backward=in_backward, after=1)
    found = _gradients(failing, at_once, lambda: lowered.append(at_once.used))
    assert lowered == [40]
    for name, value in small.items():
        assert torch.equal(found[name], value), name


def test_one_row_that_does_not_fit_is_an_error_as_it_is(tmp_path: Path) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory.")
    at_once = TokensAtOnce(16 * LENGTH)
    lowered: list[int] = []
    with pytest.raises(torch.OutOfMemoryError) as caught:
        _gradients(
            _failing(_run(tmp_path), error, most=0, in_backward=False), at_once, lambda: lowered.append(at_once.used)
        )
    assert caught.value is error
    assert lowered == [80, 40, 20, 10]


def test_other_errors_pass_through(tmp_path: Path) -> None:
    at_once = TokensAtOnce(160)
    with pytest.raises(RuntimeError, match="shapes"):
        _gradients(_failing(_run(tmp_path), RuntimeError("shapes"), most=0, in_backward=True), at_once)
    assert at_once.used == 160


def test_no_gradient_is_held_while_memory_is_given_back(tmp_path: Path) -> None:
    run = _run(tmp_path)
    held: list[bool] = []
    failing = _failing(run, MemoryError(), most=4, in_backward=True, after=1)
    _gradients(failing, TokensAtOnce(80), lambda: held.extend(p.grad is not None for p in run.model.parameters()))
    assert held == [False] * 4
