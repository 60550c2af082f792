"""Our learning-rate factors are those of Hugging Face's schedulers, step for step."""

from __future__ import annotations

import pytest
import torch
from transformers import get_scheduler

from tunescope.study.settings import TrainingSettings
from tunescope.training.schedule import learning_rate_factor, num_warmup_steps


@pytest.mark.parametrize("num_warmup", [0, 1, 7])
@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_equals_transformers(schedule: str, num_warmup: int) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    scheduler = get_scheduler(name, optimiser, num_warmup_steps=num_warmup, num_training_steps=40)
    for step in range(40):
        ours = learning_rate_factor(step, num_steps=40, num_warmup=num_warmup, schedule=schedule)  # type: ignore[arg-type]
        assert ours == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-12)
        optimiser.step()
        scheduler.step()


@pytest.mark.parametrize("num_steps", [1, 2, 3])
@pytest.mark.parametrize("warmup_share", [0.0, 0.06, 1.0])
def test_a_run_is_called_untrained_where_its_rate_is_0_at_every_step(num_steps: int, warmup_share: float) -> None:
    num_warmup = num_warmup_steps(num_steps, warmup_share)
    for schedule in ("linear", "cosine", "constant"):
        rates = [
            learning_rate_factor(step, num_steps=num_steps, num_warmup=num_warmup, schedule=schedule)  # type: ignore[arg-type]
            for step in range(num_steps)
        ]
        settings = TrainingSettings(warmup_share=warmup_share)
        assert bool(settings.why_untrained(num_steps)) == (max(rates) == 0.0)


def test_warm_up_is_rounded_up() -> None:
    assert num_warmup_steps(50, 0.06) == 3
    assert num_warmup_steps(51, 0.06) == 4
    assert num_warmup_steps(51, 0.0) == 0
