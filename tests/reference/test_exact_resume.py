"""A training killed with SIGKILL, again and again, ends as one that was left alone: same weights to the last bit.

`python test_exact_resume.py FOLDER METHOD` is the program that kills: it runs the `train` step in processes of its own
(fork, so that libraries are loaded once), each ended by SIGKILL some milliseconds after it told of a step, and at last
one that may go on to the end.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from tiny import TINY, WORDS
from tunescope.hub.source import Source
from tunescope.methods import METHODS
from tunescope.models.base import BaseModelSpec
from tunescope.steps import train
from tunescope.steps.context import StepContext
from tunescope.steps.inputs import network_for
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.spec import Classification
from tunescope.training.loop import LOG_NAME
from tunescope.training.metric_log import read_log

NUM_STEPS = 24
KILLED_AT = (1, 4, 7, 8, 13, 18, 23, NUM_STEPS)
"""Steps after which the killer waits for its moment: within epochs, at their scoring (8 and 16), when all are done."""
JITTER_S = 0.05
"""The moment is drawn from 0 to this after the step: it falls within one of the next few, or in what follows the last."""
CHECKPOINT_EVERY_S = 0.02
"""A few steps, so that a kill costs some that must be computed again."""


@pytest.mark.parametrize("model, method", [("bert", "full"), ("llama", "lora")])
def test_a_run_killed_at_random_moments_ends_as_if_undisturbed(model: str, method: str, tmp_path: Path) -> None:
    _write_world(tmp_path, model)
    killer = subprocess.run(
        [sys.executable, __file__, str(tmp_path), method],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert killer.returncode == 0, killer.stderr
    told = json.loads(killer.stdout)
    undisturbed, killed = told["undisturbed"], told["killed"]
    assert undisturbed["resumed_from"] is None
    assert killed["resumed_from"] is not None
    assert undisturbed["num_steps"] == NUM_STEPS
    for fact in ("weights_sha256", "selection", "kept_step", "num_steps", "num_tokens", "num_examples_seen"):
        assert killed[fact] == undisturbed[fact], fact

    one, other = tmp_path / "undisturbed", tmp_path / "killed" / "out"
    assert _tensors(one) == _tensors(other)
    assert (one / "selection.json").read_bytes() == (other / "selection.json").read_bytes()
    assert _curve(one) == _curve(other)


def _write_world(folder: Path, model: str) -> None:
    TINY[model](folder / "base")
    draw = random.Random(1)
    rows = [(" ".join(draw.choices(WORDS, k=draw.randint(3, 15))), draw.choice(["no", "yes"])) for _ in range(71)]
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def _tensors(out: Path) -> dict[str, tuple[list[int], bytes]]:
    """Every saved tensor's shape and bytes, by file and name."""
    found = {}
    for path in sorted(out.rglob("*.safetensors")):
        with safe_open(path, "np") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                tensor = file.get_tensor(name)
                found[f"{path.relative_to(out)}/{name}"] = (list(tensor.shape), tensor.tobytes())
    assert found, "no weights were saved"
    return found


def _curve(out: Path) -> list[dict[str, Any]]:
    """The metric log without how long things took and where the run was resumed."""
    entries = [entry for entry in read_log(out / LOG_NAME) if entry["event"] != "resumed"]
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in entries]


def main(folder: Path, method: str) -> None:
    """Trains undisturbed and killed, and tells what came of both as one line of JSON."""
    _load_libraries(folder, method)
    undisturbed = _Training(folder, method, folder / "undisturbed", folder / "scratch").result()
    scratch = folder / "killed" / "scratch"
    for attempt, step in enumerate(KILLED_AT):
        _Training(folder, method, folder / "killed" / f"out{attempt}", scratch).kill_after(step)
    killed = _Training(folder, method, folder / "killed" / "out", scratch).result()
    print(json.dumps({"undisturbed": undisturbed, "killed": killed}))


def _load_libraries(folder: Path, method: str) -> None:
    """Much of transformers is imported at first use only: once here, so that it is not done in every process anew."""
    config = _config(method)
    network = network_for(config.base_model, config.task, Source(study_folder=folder), seed=0, device="cpu")
    config.method.apply(network.model, config.task.kind, 0)


class _Training:
    """One process that trains, and what it tells: each step, and at the end its facts."""

    def __init__(self, folder: Path, method: str, out: Path, scratch: Path) -> None:
        out.mkdir(parents=True)
        scratch.mkdir(parents=True, exist_ok=True)
        self._told, telling = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.get_context("fork").Process(
            target=_train, args=(folder, method, out, scratch, telling)
        )
        self._process.start()
        telling.close()

    def result(self) -> dict[str, Any]:
        while not isinstance(told := self._told.recv(), dict):
            pass
        self._kill()
        return told

    def kill_after(self, step: int) -> None:
        while not isinstance(told := self._told.recv(), dict) and told < step:
            pass
        time.sleep(random.uniform(0.0, JITTER_S))
        self._kill()

    def _kill(self) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL, "the process ended by itself"


def _train(folder: Path, method: str, out: Path, scratch: Path, telling: Connection) -> None:
    """Trains, tells, and waits for its end; a process that dies of an error closes the pipe, which ends the wait above."""
    context = StepContext(
        source=Source(study_folder=folder),
        compute=Compute(device="cpu", micro_batch_tokens=60, checkpoint_every_s=CHECKPOINT_EVERY_S),
        device="cpu",
        num_threads=1,
        report=lambda progress: telling.send(progress.step),
    )
    telling.send(train.run(_config(method), {}, out, scratch, context))
    signal.pause()


def _config(method: str) -> TrainConfig:
    return TrainConfig(
        base_model=BaseModelSpec(name="./base"),
        task=Classification.model_validate(
            {
                "name": "animals",
                "dataset": {"files": {"train": "train.csv", "validation": "unread.csv"}},
                "labels": ["no", "yes"],
            }
        ),
        method_kind=method,
        method=METHODS[method](),
        training=TrainingSettings(learning_rate=5e-3, batch_size=8, steps=NUM_STEPS),
        seed=5,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
