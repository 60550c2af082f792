"""A small training, run by `tunescope.training.loop.train` in milliseconds: what the loop's tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunescope.study.settings import TrainingSettings
from tunescope.training.loop import train
from tunescope.training.run import Run, SelectionScore, Trained

NUM_ROWS = 37


class _Net(nn.Module):
    """Ten numbers in, dropout, two layers, one number out; enough for every rule of the loop."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Linear(10, 16)
            self.norm = nn.LayerNorm(16)
            self.drop = nn.Dropout(0.2)
            self.head = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.norm(torch.tanh(self.body(x))))).squeeze(-1)


def make_run(
    scratch: Path, *, seed: int = 0, loss: Callable[[torch.Tensor], torch.Tensor] | None = None, **settings: Any
) -> Run:
    scratch.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(5)
    x = torch.tensor(generator.normal(size=(NUM_ROWS, 10)), dtype=torch.float32)
    y = x[:, 0] * 2 - x[:, 3]
    model = _Net(seed)

    def loss_sum(rows: np.ndarray) -> torch.Tensor:
        errors = (model(x[rows]) - y[rows]) ** 2
        return errors.sum() if loss is None else loss(errors)

    def score() -> SelectionScore:
        return SelectionScore(value=-float(((model(x) - y) ** 2).mean()))

    defaults: dict[str, Any] = {"learning_rate": 1e-2, "batch_size": 8, "epochs": 4}
    return Run(
        model=model,
        lengths=generator.integers(3, 40, size=NUM_ROWS),
        loss_sum=loss_sum,
        score=score,
        settings=TrainingSettings.model_validate(defaults | settings),
        seed=seed,
        head_names=frozenset({"head.weight", "head.bias"}),
        scratch=scratch,
    )


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in run.model.named_parameters()}


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def train_one(run: Run, **options: Any) -> Trained:
    return train([run], **{"micro_batch_tokens": 10_000, **options})[0]
