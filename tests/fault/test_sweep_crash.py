"""A sweep killed with SIGKILL at any moment, and run again, has the same trials and the same winner."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tiny import tiny_llama

_ANIMALS, _DEEDS = ("cat", "dog", "bird"), ("sat", "ran", "flew")
_KINDS = ("propose", "trial", "select")
_NUM_ARTIFACTS = 25
"""Two sweeps of three waves, six trials and a choice; a training and an evaluation of each, and the examples of the task."""
_COMMAND = "import sys; from tunescope.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A study with two short sweeps, its data and its model; and what it comes to when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("sweep")
    sentences = [
        (f"the {word} {one} {deed} on the mat . a {other} {second}", "yes" if word == "good" else "no")
        for one, other, deed, second in itertools.product(_ANIMALS, _ANIMALS, _DEEDS, _DEEDS)
        for word in ("good", "bad")
    ]
    for split, rows in (("train", sentences[:40]), ("dev", sentences[40:52])):
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    tiny_llama(folder / "model", num_hidden_layers=1)
    rate = {"sweep": {"log_uniform": [1e-4, 1e-1], "default": 1e-3}}
    study = {
        "name": "crash",
        "base_model": "./model",
        "tasks": [
            {
                "name": "good",
                "kind": "classification",
                "dataset": {"files": {"train": "train.csv", "validation": "dev.csv"}},
                "text": "text",
                "labels": ["no", "yes"],
                "metrics": ["accuracy"],
                "max_length": 40,
                "selection_share": 0.3,
            }
        ],
        "methods": {"full": {"learning_rate": rate}, "lora": {"learning_rate": rate, "rank": {"sweep": [2, 4]}}},
        "seeds": [1],
        "baselines": [],
        "training": {"batch_size": 8, "steps": 6, "evaluate_every": 1},
        "sweep": {
            "num_trials": 6,
            "wave_size": 2,
            "num_startup_trials": 2,
            "pruner": {"name": "median", "num_startup_trials": 1},
        },
        "compute": {"device": "cpu", "num_threads": 1, "checkpoint_every_s": 0},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    assert _start(folder, folder / "whole").wait() == 0
    assert _num_artifacts(folder / "whole") == _NUM_ARTIFACTS
    return folder


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_killed_at_random_moments_and_run_again(world, tmp_path, seed):
    folder, store = world, tmp_path / "store"
    chance = random.Random(seed)
    kills = 0
    for _ in range(4):
        process = _start(folder, store)
        there = min(_num_artifacts(store), _NUM_ARTIFACTS - 1)  # the kill before may have come when all was made
        aim = chance.randint(there, _NUM_ARTIFACTS - 1)
        while process.poll() is None and _num_artifacts(store) < aim:
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.2))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills, "no kill reached the run: each came when it was over"
    assert _start(folder, store).wait() == 0
    expected, found = _told(folder / "whole"), _told(store)
    assert found == expected
    assert not [path for path in (store / "work").glob("*") if not path.name.startswith(".")]


def _num_artifacts(store: Path) -> int:
    return len(list(store.glob("artifacts/*/*/record.json")))


def _start(folder: Path, store: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "run", str(folder / "study.yaml"), "--store", str(store)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )


def _told(store: Path) -> dict[str, str]:
    """Every proposal, trial and choice, byte for byte, and the weights that the winners were trained to."""
    names = {"propose": "proposals.json", "trial": "trial.json", "select": "selected.json"}
    told = {
        f"{kind}/{path.parent.name}": path.read_text(encoding="utf-8")
        for kind in _KINDS
        for path in store.glob(f"artifacts/{kind}/*/{names[kind]}")
    }
    for path in store.glob("artifacts/train/*/record.json"):
        told[f"train/{path.parent.name}"] = json.loads(path.read_text())["facts"]["weights_sha256"]
    assert len(told) == 2 * (3 + 6 + 1 + 1)
    return told
