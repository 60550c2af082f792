"""A training killed with SIGKILL, again and again, ends as one that was left alone: same weights to the last bit.

`python test_exact_resume.py FOLDER` is the program that kills: it runs the `train` step in processes of its own (fork, so
that libraries are loaded once), each ended by SIGKILL some milliseconds after it told of a step, and at last one that may
go on to the end.
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
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from tiny import TINY, WORDS
from tunescope.hub.source import Source
from tunescope.methods import Full, Lora, Method
from tunescope.models.base import BaseModelSpec
from tunescope.steps import train
from tunescope.steps.context import StepContext
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.study.spec import Compute
from tunescope.tasks.spec import Classification
from tunescope.training.metric_log import LOG_NAME, read_log
from tunescope.training.progress import Progress

FACTS = "facts.json"
NUM_STEPS = 24
KILLED_AT = (1, 4, 7, 8, 13, 18, 23, NUM_STEPS)
"""Steps after which the killer waits for its moment: within epochs, at their scoring (8 and 16), when all are done."""
JITTER_S = 0.05
"""The moment is drawn from 0 to this after the step: it falls within one of the next few, or in what follows the last."""
CHECKPOINTS_S = (0.0, 0.06)
"""Seconds between checkpoints, by turns: after every step, or so that a kill costs some steps."""
CASES: dict[str, tuple[str, Method]] = {
    "full": ("bert", Full()),
    "lora": ("llama", Lora(dropout=0.1)),
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every case was trained undisturbed, and killed and resumed."""
    folder = tmp_path_factory.mktemp("killed")
    for case, (model, _) in CASES.items():
        _write_world(folder / case, model)
    killer = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert killer.returncode == 0, killer.stderr
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_at_random_moments_ends_as_if_undisturbed(case: str, killed: Path) -> None:
    one, other = killed / case / "undisturbed", killed / case / "resumed"
    facts, resumed = (json.loads((out / FACTS).read_text(encoding="utf-8")) for out in (one, other))
    assert facts["num_steps"] == NUM_STEPS
    assert facts["resumed_from"] is None
    assert resumed["resumed_from"] is not None
    for fact in ("weights_sha256", "selection", "kept_step", "num_steps", "num_tokens", "num_examples_seen"):
        assert resumed[fact] == facts[fact], fact
    assert _tensors(one) == _tensors(other)
    assert (one / "selection.json").read_bytes() == (other / "selection.json").read_bytes()
    assert _curve(one) == _curve(other)
    kills = [json.loads(line) for line in (killed / case / "kills").read_text(encoding="utf-8").splitlines()]
    assert [kill["exitcode"] for kill in kills] == [-signal.SIGKILL] * len(KILLED_AT)


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


def main(folder: Path) -> None:
    """Trains each case undisturbed, and killed and resumed to the end."""
    for case, (_, method) in CASES.items():
        place = folder / case
        _train(place, method, "undisturbed", place / "scratch", checkpoint_every_s=1e9)
        scratch = place / "killed"
        with (place / "kills").open("w", encoding="utf-8") as kills:
            for attempt, step in enumerate(KILLED_AT):
                exitcode = _killed_after(step, place, method, f"attempt{attempt}", scratch, CHECKPOINTS_S[attempt % 2])
                kills.write(json.dumps({"after_step": step, "exitcode": exitcode}) + "\n")
        _train(place, method, "resumed", scratch, checkpoint_every_s=CHECKPOINTS_S[0])


def _killed_after(
    step: int, folder: Path, method: Method, out: str, scratch: Path, checkpoint_every_s: float
) -> int | None:
    """Trains in a process of its own, and kills it at a random moment after it told of the step, or was done."""
    told, telling = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_train_and_wait, args=(folder, method, out, scratch, checkpoint_every_s, telling)
    )
    process.start()
    telling.close()
    while told.recv() < step:
        pass
    time.sleep(random.uniform(0.0, JITTER_S))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode


def _train_and_wait(
    folder: Path, method: Method, out: str, scratch: Path, checkpoint_every_s: float, telling: Connection
) -> None:
    """Trains, tells, and waits for its end; if it dies of an error instead, the pipe closes and so ends `told.recv`."""
    _train(folder, method, out, scratch, checkpoint_every_s, lambda progress: telling.send(progress.step))
    telling.send(NUM_STEPS)
    signal.pause()


def _train(
    folder: Path,
    method: Method,
    out_name: str,
    scratch: Path,
    checkpoint_every_s: float,
    report: Callable[[Progress], None] = lambda progress: None,
) -> None:
    out = folder / out_name
    out.mkdir()
    scratch.mkdir(exist_ok=True)
    context = StepContext(
        source=Source(study_folder=folder),
        compute=Compute(device="cpu", micro_batch_tokens=60, checkpoint_every_s=checkpoint_every_s),
        device="cpu",
        num_threads=1,
        report=report,
    )
    facts = train.run(_config(method), {}, out, scratch, context)
    (out / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _config(method: Method) -> TrainConfig:
    return TrainConfig(
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
