"""A run that ran out of memory at several steps ends where it would have ended with memory enough.

The tolerance is the one we promise in fp32, 1e-5 on every weight: the gradient of a step is the sum over its rows however
they are split, so only the order of additions differs. Measured (x86-64, torch 2.13, one thread): see `MEASURED`. With dropout
the masks follow the portions, the run is another draw of the same objective, and its flag says so.

The last test runs out of memory for real: `python test_micro_batch_halving.py` is a process that limits its address space
(RLIMIT_AS) and trains a network whose whole batch does not fit.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tiny import TINY, WORDS
from tunescope.hub.source import Source
from tunescope.methods import Full, Lora, Method
from tunescope.models.base import BaseModelSpec
from tunescope.steps import train
from tunescope.steps.context import StepContext
from tunescope.steps.inputs import forget_inputs
from tunescope.steps.objective import Objective
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.spec import Classification
from tunescope.training import gradients
from tunescope.training.loop import train as train_runs
from tunescope.training.metric_log import LOG_NAME, read_log
from tunescope.training.run import Run, SelectionScore, Trained

NUM_STEPS = 40
ASKED = 512
CASES: dict[str, tuple[str, Method]] = {"full": ("bert", Full()), "lora": ("llama", Lora(dropout=0.0))}
TOLERANCE = 1e-5
NO_GRADIENT = "attention.self.key.bias"


@pytest.fixture(autouse=True)
def _fresh_inputs() -> Iterator[None]:
    forget_inputs()
    yield
    forget_inputs()


@pytest.mark.parametrize("case", CASES)
def test_weights_are_those_of_the_undisturbed_run(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, method = CASES[case]
    facts = _train(tmp_path, model, method, "undisturbed", dropout=0.0)
    _run_out_of_memory(monkeypatch)
    halved = _train(tmp_path, model, method, "halved", dropout=0.0)
    for fact in ("num_steps", "num_steps_planned", "num_tokens", "num_examples_seen"):
        assert halved[fact] == facts[fact], fact
    assert facts["flags"] == []
    assert halved["flags"] == [
        f"out of memory at step {step} with {before} tokens at once: went on with {after}; the objective is unchanged"
        for step, before, after in ((3, 512, 128), (9, 128, 64), (30, 64, 32))
    ]
    in_force = halved["settings_in_force"]
    assert (in_force["asked"]["micro_batch_tokens"], in_force["micro_batch_tokens"]) == (ASKED, 32)
    lowered = [entry["step"] for entry in read_log(tmp_path / "halved" / LOG_NAME) if entry["event"] == "out_of_memory"]
    assert lowered == [3, 9, 30]
    difference = _largest_difference(tmp_path / "undisturbed", tmp_path / "halved")
    print(f"{case}: largest difference of a weight {difference:.2g}")
    assert difference < TOLERANCE


def test_with_dropout_the_flag_says_that_masks_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _train(tmp_path, "bert", Full(), "undisturbed", dropout=0.1)
    _run_out_of_memory(monkeypatch)
    halved = _train(tmp_path, "bert", Full(), "halved", dropout=0.1)
    assert len(halved["flags"]) == 3
    assert all("the objective is unchanged, but dropout drew other masks" in flag for flag in halved["flags"])
    assert _largest_difference(tmp_path / "undisturbed", tmp_path / "halved") > TOLERANCE


def test_a_real_out_of_memory_is_survived() -> None:
    process = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"} | ONE_HEAP,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout.splitlines()[-1])
    assert told["micro_batch_tokens"] == REAL_ROWS * REAL_LENGTH // 2
    assert told["flags"] == [
        f"out of memory at step 1 with {REAL_ROWS * REAL_LENGTH} tokens at once: went on with "
        f"{REAL_ROWS * REAL_LENGTH // 2}; the objective is unchanged"
    ]
    assert told["num_steps"] == REAL_STEPS
    assert 0.0 < told["difference"] < TOLERANCE
    assert "can't allocate memory" in told["where_nothing_fits"]


def _run_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for 200 tokens from step 3 on, 100 from step 9, 50 from step 30; found out in forward and in backward passes."""
    compute, seed_of = Objective.__call__, gradients.step_seed
    under_way = 0

    def noted(seed: int, step: int) -> int:
        nonlocal under_way
        under_way = step + 1
        return seed_of(seed, step)

    def tight(self: Objective, rows: np.ndarray) -> torch.Tensor:
        loss = compute(self, rows)
        room = min(tokens for step, tokens in ((1, 512), (3, 200), (9, 100), (30, 50)) if step <= under_way)
        if len(rows) * int(self._encoded.lengths[rows].max()) > room:
            if under_way != 9:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            loss.register_hook(_no_memory)
        return loss

    monkeypatch.setattr(gradients, "step_seed", noted)
    monkeypatch.setattr(Objective, "__call__", tight)


def _no_memory(gradient: torch.Tensor) -> None:
    torch.empty(2**56, dtype=torch.uint8)  # the CPU allocator's own error


def _train(folder: Path, model: str, method: Method, name: str, *, dropout: float) -> dict[str, Any]:
    base = folder / "base"
    if not base.exists():
        TINY[model](base)
        draw = random.Random(1)
        rows = [(" ".join(draw.choices(WORDS, k=draw.randint(3, 15))), draw.choice(["no", "yes"])) for _ in range(71)]
        with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    out, scratch = folder / name, folder / f"{name}-scratch"
    out.mkdir()
    scratch.mkdir()
    config = TrainConfig(
        base_model=BaseModelSpec(name="./base", dropout=dropout if model == "bert" else None),
        task=Classification.model_validate(
            {
                "name": "animals",
                "dataset": {"files": {"train": "train.csv", "validation": "unread.csv"}},
                "labels": ["no", "yes"],
            }
        ),
        method_kind=method.kind,
        method=method,
        training=TrainingSettings(learning_rate=1e-3, batch_size=16, steps=NUM_STEPS, keep="last"),
        seed=5,
    )
    context = StepContext(
        source=Source(study_folder=folder),
        compute=Compute(device="cpu", micro_batch_tokens=ASKED),
        device="cpu",
        num_threads=1,
        report=lambda progress: None,
    )
    return train.run(config, {}, out, scratch, context)


def _largest_difference(one: Path, other: Path) -> float:
    names = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert names
    differences = []
    for name in names:
        first, second = load_file(one / name), load_file(other / name)
        assert first.keys() == second.keys()
        differences += [float((first[key] - second[key]).abs().max()) for key in first if not key.endswith(NO_GRADIENT)]
    return max(differences)


ONE_HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(2**20)}
"""Of glibc: a thread that has to wait for the heap would get one of its own, 128 MiB of the address space that is limited."""
REAL_ROWS, REAL_LENGTH, REAL_WIDTH, REAL_STEPS = 8, 4096, 1024, 3
"""One activation of the network below is 128 MiB for all rows; training holds three at once, 384 MiB, or 192 for half the rows."""
ROOM_MIB, NO_ROOM_MIB = 288, 30
"""Between those two; and less than the 48 MiB that a single row takes."""


def main() -> None:
    """Trains with memory enough, with room for half of the rows, and with room for not even one; prints what came of each."""
    import resource

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        _train_wide(Path(folder) / "warm-up", REAL_LENGTH)
        undisturbed, _ = _train_wide(Path(folder) / "undisturbed", REAL_ROWS * REAL_LENGTH)
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + ROOM_MIB * 2**20, resource.RLIM_INFINITY))
        halved, trained = _train_wide(Path(folder) / "halved", REAL_ROWS * REAL_LENGTH)
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + NO_ROOM_MIB * 2**20, resource.RLIM_INFINITY))
        try:
            _train_wide(Path(folder) / "nothing", REAL_ROWS * REAL_LENGTH)
        except RuntimeError as error:
            where_nothing_fits = str(error)
    told = {
        "micro_batch_tokens": trained.micro_batch_tokens,
        "flags": trained.flags,
        "num_steps": trained.num_steps,
        "difference": max(float((one - other).abs().max()) for one, other in zip(undisturbed, halved, strict=True)),
        "where_nothing_fits": where_nothing_fits,
    }
    print(json.dumps(told))


def _train_wide(scratch: Path, micro_batch_tokens: int) -> tuple[list[torch.Tensor], Trained]:
    scratch.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, REAL_WIDTH), nn.Tanh(), nn.Linear(REAL_WIDTH, 1))
    x = torch.tensor(np.random.default_rng(0).normal(size=(REAL_ROWS, REAL_LENGTH, 16)), dtype=torch.float32)
    run = Run(
        model=model,
        lengths=np.full(REAL_ROWS, REAL_LENGTH),
        loss_sum=lambda rows: (model(x[rows]) ** 2).mean(dim=1).sum(),
        score=lambda: SelectionScore(value=None),
        settings=TrainingSettings(learning_rate=1e-2, batch_size=REAL_ROWS, steps=REAL_STEPS, keep="last"),
        seed=0,
        head_names=frozenset(),
        scratch=scratch,
    )
    trained = train_runs([run], micro_batch_tokens=micro_batch_tokens)[0]
    return [parameter.detach().clone() for parameter in model.parameters()], trained


def _address_space() -> int:
    return int(psutil.Process().memory_info().vms)


if __name__ == "__main__":
    main()
