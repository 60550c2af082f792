"""A small whole study in a folder of its own: a tiny random model, two tasks from files, two methods, two seeds."""

from __future__ import annotations

import copy
import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiny import tiny_llama
from tunescope.cli import main

STUDY: dict[str, Any] = {
    "name": "small",
    "base_model": "./model",
    "tasks": [
        {
            "name": "same",
            "kind": "classification",
            "dataset": {"files": {"train": "same-train.csv", "validation": "same-dev.csv"}},
            "text": "first",
            "text_pair": "second",
            "labels": ["no", "yes"],
            "prompt": "{first} . {second} ?",
            "label_words": [" bad", " good"],
            "metrics": ["accuracy", "f1"],
            "max_length": 32,
            "references": [{"metric": "accuracy", "value": 0.9, "source": "A. Nobody, a talk, 1999"}],
        },
        {
            "name": "where",
            "kind": "question_answering",
            "dataset": {"files": {"train": "where-train.jsonl", "validation": "where-dev.jsonl"}},
            "max_length": 48,
            "max_question_tokens": 8,
            "stride": 8,
            "max_answer_tokens": 4,
            "metrics": ["squad_f1", "squad_exact"],
        },
    ],
    "methods": {"full": {"learning_rate": 1e-3}, "lora": {"rank": 4, "learning_rate": 1e-2}},
    "seeds": [1, 2],
    "training": {"batch_size": 8, "steps": 3},
    "compute": {"device": "cpu", "num_threads": 1},
}
"""24 jobs: 8 trainings, 8 evaluations, 6 baselines, 2 of examples."""

_ANIMALS, _DEEDS, _PLACES = ("cat", "dog", "bird"), ("sat", "ran", "flew"), ("on the mat", "under the tree")


@dataclass(frozen=True)
class Said:
    """What a command left behind on the terminal."""

    code: int
    out: str
    err: str


class Desk:
    """A folder with a study, its data and its model, and the command line in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.store, self._capsys = folder, folder / "store", capsys
        self.path = self.write(STUDY)

    def write(self, study: dict[str, Any], name: str = "study.yaml") -> Path:
        """Writes a study beside the data and returns its path."""
        path = self.folder / name
        path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
        return path

    def pairs(self, split: str) -> list[dict[str, Any]]:
        """The rows of the task `same`, from its file."""
        with (self.folder / f"same-{split}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def write_pairs(self, split: str, rows: list[dict[str, Any]]) -> None:
        """Replaces the rows of the task `same`."""
        _write_csv(self.folder / f"same-{split}.csv", rows)

    def tunescope(self, *words: str | Path) -> Said:
        """Runs the command in this process."""
        self._capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as left:  # argparse's own way out
            code = int(left.code or 0)
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)

    def run(self, *more: str | Path) -> Said:
        """`tunescope run` of the study on the desk's store."""
        return self.tunescope("run", self.path, "--store", self.store, *more)

    def refused(self, *more: str | Path) -> list[str]:
        """What `run` complains of, a line each, where it exits with 2, shows no traceback and writes nothing."""
        there = sorted(self.folder.rglob("*"))
        said = self.run(*more)
        assert said.code == 2, said
        assert said.out == ""
        assert sorted(self.folder.rglob("*")) == there
        lines = said.err.rstrip("\n").split("\n")
        assert all(line.startswith("tunescope: ") for line in lines), said.err
        return [line.removeprefix("tunescope: ").replace(str(self.folder), "DESK") for line in lines]

    def status(self, *more: str | Path) -> Said:
        """`tunescope status` of the study on the desk's store."""
        return self.tunescope("status", self.path, "--store", self.store, *more)

    def rows(self, *more: str | Path) -> list[dict[str, Any]]:
        """The result table as JSON lines say it."""
        said = self.tunescope("results", self.path, "--store", self.store, "--format", "json", *more)
        assert said.code == 0, said.err
        return [json.loads(line) for line in said.out.splitlines()]

    def artifacts(self) -> dict[str, int]:
        """Each artifact as "<kind>/<id>", and when its record was written, ns."""
        return {
            f"{record.parent.parent.name}/{record.parent.name}": record.stat().st_mtime_ns
            for record in self.store.glob("artifacts/*/*/record.json")
        }

    def records(self) -> dict[str, dict[str, Any]]:
        """Each artifact's record, by its label."""
        found = [json.loads(path.read_text()) for path in self.store.glob("artifacts/*/*/record.json")]
        return {record["label"]: record for record in found}

    def labels_of(self, artifacts: Collection[str]) -> set[str]:
        """What the artifacts' records call them."""
        folder = self.store / "artifacts"
        return {json.loads((folder / name / "record.json").read_text())["label"] for name in artifacts}


@pytest.fixture(scope="session")
def _small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data and the model of the study, made once."""
    folder = tmp_path_factory.mktemp("small")
    for split, size in (("train", 40), ("dev", 12)):
        _write_csv(folder / f"same-{split}.csv", _pairs(size))
        lines = [json.dumps(row) + "\n" for row in _questions(size)]
        (folder / f"where-{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    tiny_llama(folder / "model", num_hidden_layers=1)
    return folder


@pytest.fixture
def desk(_small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A fresh copy of the study, its data and its model."""
    folder = tmp_path / "desk"
    shutil.copytree(_small_world, folder)
    return Desk(folder, capsys)


@pytest.fixture(scope="session")
def _finished_world(_small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with its store after one run, made once: a store may be copied and moved."""
    folder = tmp_path_factory.mktemp("finished") / "desk"
    shutil.copytree(_small_world, folder)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False), encoding="utf-8")
    assert main(["run", str(folder / "study.yaml"), "--store", str(folder / "store")]) == 0
    return folder


@pytest.fixture
def finished(_finished_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A fresh copy of the study after it has run."""
    folder = tmp_path / "desk"
    shutil.copytree(_finished_world, folder)
    return Desk(folder, capsys)


@pytest.fixture
def study() -> dict[str, Any]:
    """The study as data, to be changed by a test and written with `desk.write`."""
    return copy.deepcopy(STUDY)


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts the command in a process of its own; the keyword `python` gives arguments to the interpreter."""

    def begin(*words: str | Path, python: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        code = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a test runner may ignore it
            "from tunescope.cli import main; sys.exit(main())"
        )
        return subprocess.Popen(
            [sys.executable, *python, "-c", code, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )

    return begin


def _pairs(size: int) -> list[dict[str, Any]]:
    """Rows of the task `same`: do both sentences name one animal? Every third does, no two rows are alike."""
    rows = []
    for row in range(size):
        one = _ANIMALS[row % 3]
        other = one if row % 3 == 0 else _ANIMALS[(row + 1) % 3]
        first = f"the {one} {_DEEDS[row // 3 % 3]} {_PLACES[row % 2]}" + " ." * (row // 18)
        second = f"a {other} {_DEEDS[row // 9 % 3]}"
        rows.append({"first": first, "second": second, "label": "yes" if one == other else "no"})
    return rows


def _questions(size: int) -> list[dict[str, Any]]:
    """Rows of the task `where`; every third question has no answer."""
    rows: list[dict[str, Any]] = []
    for row in range(size):
        animal, deed, place = _ANIMALS[row % 3], _DEEDS[row // 3 % 3], _PLACES[row % 2]
        context = f"the {animal} {deed} {place} . the tree is good" + " ." * (row // 9)
        answered = row % 3 != 2
        answers = {"text": [animal], "answer_start": [4]} if answered else {"text": [], "answer_start": []}
        question = f"who {deed} ?" if answered else "who was bad ?"
        rows.append({"id": f"q{row}", "context": context, "question": question, "answers": answers})
    return rows


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
