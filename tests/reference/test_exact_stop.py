"""A training that is asked to stop, again and again, ends as one that was left alone: same files to the last bit."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from torch.optim.optimizer import register_optimizer_step_post_hook

from tiny import TINY, WORDS
from tunescope.errors import StopRequested
from tunescope.hub.source import Source
from tunescope.methods import Full, Lora, Method
from tunescope.models.base import BaseModelSpec
from tunescope.steps import train
from tunescope.steps.context import StepContext
from tunescope.steps.inputs import forget_inputs
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.spec import Classification
from tunescope.training.metric_log import LOG_NAME, read_log

NUM_STEPS = 24
CASES: dict[str, tuple[str, Method]] = {"full": ("bert", Full()), "lora": ("llama", Lora(dropout=0.1))}
STOPPED_AT = (1, 7, 8, 9, 16, 20, 24)
"""Steps after which it is asked: within epochs, at their end, before the scoring that is due there, and after the last."""


@pytest.fixture(autouse=True)
def _fresh_inputs() -> Iterator[None]:
    forget_inputs()
    yield
    forget_inputs()


@pytest.mark.parametrize("case", CASES)
def test_a_run_stopped_on_request_ends_as_if_undisturbed(case: str, tmp_path: Path) -> None:
    model, method = CASES[case]
    _write_world(tmp_path, model)
    facts = _train(tmp_path, method, "undisturbed", tmp_path / "scratch-undisturbed")
    scratch = tmp_path / "scratch"
    stood_at = 0
    for step in STOPPED_AT:
        with (
            _after(step - stood_at) as should_stop,
            pytest.raises(StopRequested, match=f"at step {step} of {NUM_STEPS}"),
        ):
            _train(tmp_path, method, f"to-{step}", scratch, should_stop)
        assert not list((tmp_path / f"to-{step}").iterdir())
        assert (
            sum(entry["event"] == "step" for entry in read_log(scratch / LOG_NAME)) == step
        )  # all written, none ahead
        stood_at = step
    resumed = _train(tmp_path, method, "resumed", scratch)
    assert resumed["resumed_from"] == NUM_STEPS
    for fact in ("weights_sha256", "selection", "kept_step", "num_steps", "num_tokens", "num_examples_seen", "flags"):
        assert resumed[fact] == facts[fact], fact
    assert _files(tmp_path / "undisturbed") == _files(tmp_path / "resumed")
    assert _curve(tmp_path / "undisturbed") == _curve(tmp_path / "resumed")


def test_a_stop_before_the_first_step_begins_nothing(tmp_path: Path) -> None:
    _write_world(tmp_path, "bert")
    with pytest.raises(StopRequested, match="before the first step"):
        _train(tmp_path, Full(), "out", tmp_path / "scratch", lambda: True)
    assert not list((tmp_path / "scratch").iterdir())


@contextmanager
def _after(num_steps: int) -> Iterator[Callable[[], bool]]:
    """Says stop as soon as an optimiser has taken so many steps."""
    taken = 0

    def count(*_: Any) -> None:
        nonlocal taken
        taken += 1

    hook = register_optimizer_step_post_hook(count)
    try:
        yield lambda: taken >= num_steps
    finally:
        hook.remove()


def _write_world(folder: Path, model: str) -> None:
    TINY[model](folder / "base")
    draw = random.Random(1)
    rows = [(" ".join(draw.choices(WORDS, k=draw.randint(3, 15))), draw.choice(["no", "yes"])) for _ in range(71)]
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def _train(
    folder: Path, method: Method, name: str, scratch: Path, should_stop: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    out = folder / name
    out.mkdir()
    scratch.mkdir(exist_ok=True)
    config = TrainConfig(
        base_model=BaseModelSpec(name="./base"),
        task=Classification.model_validate(
            {
                "name": "animals",
                "dataset": {"files": {"train": "train.csv", "validation": "unread.csv"}},
                "labels": ["no", "yes"],
            }
        ),
        method_kind=method.kind,
        method=method,
        training=TrainingSettings(learning_rate=5e-3, batch_size=8, steps=NUM_STEPS),
        seed=5,
    )
    context = StepContext(
        source=Source(study_folder=folder),
        compute=Compute(device="cpu", micro_batch_tokens=60, checkpoint_every_s=1e9),
        device="cpu",
        num_threads=1,
        report=lambda progress: None,
        should_stop=should_stop,
    )
    return train.run(config, {}, out, scratch, context)


def _files(out: Path) -> dict[str, bytes]:
    """Every file's bytes but the metric log's, which has times."""
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    del files[LOG_NAME]
    assert any(name.endswith(".safetensors") for name in files)
    return files


def _curve(out: Path) -> list[dict[str, Any]]:
    """The metric log without how long things took and where the run was resumed."""
    entries = [entry for entry in read_log(out / LOG_NAME) if entry["event"] != "resumed"]
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in entries]
