"""Runs as they are kept, on a small task from a file, for the steps that measure them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from fake_steps import fake_context
from tiny import TINY, tiny_network
from tunescope.hub.source import Source
from tunescope.methods import Lora
from tunescope.models.saving import save_tuned
from tunescope.steps import represent
from tunescope.steps.context import StepContext
from tunescope.steps.inputs import forget_inputs
from tunescope.study.configs import RepresentConfig
from tunescope.study.spec import Compute
from tunescope.tasks.spec import TaskSpec

ANIMALS, DEEDS, PLACES = ("cat", "dog", "bird"), ("sat", "ran", "flew"), ("on the mat", "under the tree", "on a tree .")
CKA = "debiased_linear_cka"


class Bench:
    """A base model, a task and runs in one folder; jobs are done one by one."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.base = folder, TINY[name](folder / "base")
        self.context: StepContext = replace(
            fake_context(), source=Source(study_folder=folder), compute=Compute(evaluation_batch_tokens=64)
        )
        self.write_rows(14)

    def write_rows(self, num: int, *, end: str = "") -> None:
        """The task's report rows, no two alike."""
        with (self.folder / "dev.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            for row in range(num):
                animal, deed, place = ANIMALS[row % 3], DEEDS[row // 3 % 3], PLACES[row // 9 % 3]
                rows.writerow([f"the {animal} {deed} {place}" + " the tree" * (row % 4) + end, ("no", "yes")[row % 2]])
        forget_inputs()

    @property
    def task(self) -> TaskSpec:
        said = {
            "name": "small",
            "kind": "classification",
            "dataset": {"files": {"validation": "dev.csv"}},
            "text": "text",
            "labels": ["no", "yes"],
            "metrics": ["accuracy"],
            "max_length": 32,
            "train_split": "unread",
        }
        spec: TaskSpec = TypeAdapter(TaskSpec).validate_python(said)
        return spec

    def tuned(self, method: Any = None, *, seed: int = 5, by: float = 0.05) -> Path:
        """A run's folder, its weights moved a little at random instead of trained."""
        method = method or Lora(rank=2)
        out = self.folder / f"run-{method.kind}-{seed}"
        out.mkdir()
        model = method.apply(tiny_network(self.base).model, "classification", 1)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(by * torch.randn_like(weight))
        save_tuned(model, method.kind, out)
        return out

    def does(self, step: Callable[..., dict[str, Any]], config: Any, **inputs: Path) -> tuple[dict[str, Any], Path]:
        """A job's facts and its folder."""
        out = self.folder / f"out-{len(list(self.folder.glob('out-*')))}"
        out.mkdir()
        given: Mapping[str, Path] = inputs
        return step(config, given, out, out, self.context), out

    def read_base(self, config: Any, *, keep: bool = False) -> Path:
        """The artifact of the represent job that a job of drift needs."""
        said = {name: getattr(config, name) for name in ("base_model", "task", "pooling", "num_examples")}
        return self.does(represent.run, RepresentConfig(**said, keep_states=keep))[1]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[str], Bench]:
    """A tiny model's name -> its bench."""
    return lambda name: Bench(tmp_path, name)
