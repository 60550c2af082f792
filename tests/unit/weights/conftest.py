"""Tuned folders as a run keeps them, trained weights moved a little at random instead of trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny import TINY, tiny_network
from tunescope.models.saving import save_tuned
from tunescope.weights.packed import twins_in

Tune = Callable[..., tuple[Any, Path, Path]]


@pytest.fixture
def tune(tmp_path: Path) -> Tune:
    """(method, tiny model's name, task kind, packed or not) -> the tuned model, its folder and the base folder."""

    def make(
        method: Any, name: str = "bert", kind: str = "classification", *, by: float = 0.05, packed: bool = False
    ) -> Any:
        base, out = tmp_path / f"base-{name}", tmp_path / "out"
        TINY[name](base)
        out.mkdir()
        model = method.apply(tiny_network(base, task_kind=kind).model, kind, seed=1).eval()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(5)
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(by * torch.randn_like(weight))
        shapes = {own: tuple(tensor.shape) for own, tensor in model.state_dict().items()}
        save_tuned(model, method.kind, out, base=twins_in(base, shapes) if packed else None)
        return model, out, base

    return make
