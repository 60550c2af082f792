"""A real study for what may go wrong: two methods, one of them swept, drift with kept states; and what it comes to undisturbed."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.conftest import STUDY, Desk, _small_world, start
from tunescope.cli import main
from tunescope.training.metric_log import read_log

__all__ = ["_small_world", "start"]

_ADDED: dict[str, Any] = {
    "name": "faults",
    "tasks": [STUDY["tasks"][0] | {"selection_share": 0.3, "metrics": ["accuracy"]}],
    "methods": {
        "full": {"learning_rate": 1e-3},
        "lora": {"rank": 4, "learning_rate": {"sweep": {"log_uniform": [1e-3, 1e-1], "default": 1e-2}}},
    },
    "baselines": ["majority"],
    "training": {"batch_size": 8, "steps": 3, "evaluate_every": 1},
    "sweep": {"num_trials": 3, "wave_size": 2, "allow_unequal_budgets": True},
    "drift": {
        "measures": ["debiased_linear_cka", "relative_change"],
        "layer_pairs": False,
        "controls": [],
        "weights": False,
        "keep_representations": True,
    },
}
FAULTS: dict[str, Any] = copy.deepcopy(STUDY) | _ADDED
NUM_JOBS = 21
"""4 trainings, 4 evaluations, a baseline, 2 waves of 3 trials and their choice, the base model's states, 4 drifts, and the
task's examples."""

_TIMES = frozenset({"train_s", "evaluate_s", "peak_memory_gib", "seconds", "watch_s"})
"""What differs between two runs of the same study."""


class FaultDesk(Desk):
    """A desk with the study of this folder, and what that study comes to undisturbed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder, capsys)
        self.path = self.write(FAULTS)
        self.expected: dict[str, Any] = {}

    def told(self) -> dict[str, Any]:
        """All that the finished study tells but for times and memory: its tables, and every artifact's files."""
        tables = {option: self._rows(*option.split()) for option in ("", "--drift", "--trials")}
        files = {
            str(path.relative_to(self.store)): _content(path)
            for path in sorted(self.store.glob("artifacts/**/*"))
            if path.is_file() and path.name != "record.json"
        }
        return tables | files

    def goes_on(self, *more: str | Path) -> str:
        """Runs the study to the end, and to what it comes to undisturbed; returns what that said."""
        said = self.run(*more)
        assert (said.code, said.err) == (0, ""), said
        assert self.told() == self.expected
        assert self.work() == []
        return said.out

    def artifact(self, kind: str, label: str = "") -> Path:
        """The folder of the one artifact of a kind, or of the one of that label."""
        (found,) = [
            path.parent
            for path in self.store.glob(f"artifacts/{kind}/*/record.json")
            if label in ("", json.loads(path.read_text())["label"])
        ]
        return found

    def forget(self, *folders: Path) -> None:
        """`tunescope forget` of the artifacts in these folders."""
        for folder in folders:
            name = f"{folder.parent.name}/{folder.name}"
            assert self.tunescope("forget", name, "--store", self.store).code == 0

    def work(self) -> list[str]:
        """What lies in the work folder but for the trash."""
        return sorted(path.name for path in (self.store / "work").glob("*") if path.name != ".trash")

    def apart(self, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs the command in a process of its own; options are those of `subprocess.run`."""
        return subprocess.run(
            [sys.executable, "-m", "tunescope", *map(str, words)],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            timeout=300,
            check=False,
            **options,
        )

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Another process holds the store's lock meanwhile; yields its id."""
        code = (
            "import sys; from pathlib import Path; from tunescope.store import Store\n"
            "with Store.open(Path(sys.argv[1]), create=False).lock(): print('held', flush=True); sys.stdin.read()"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", code, str(self.store)], text=True, **pipes) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process.pid
            process.communicate(timeout=60)
        assert process.returncode == 0

    def _rows(self, *option: str) -> list[dict[str, Any]]:
        return [{name: value for name, value in row.items() if name not in _TIMES} for row in self.rows(*option)]


def _content(path: Path) -> Any:
    if path.name == "log.jsonl":
        return [
            {key: value for key, value in entry.items() if key not in _TIMES}
            for entry in read_log(path)
            if entry["event"] != "resumed"
        ]
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def _faults_world(_small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study after one undisturbed run, made once."""
    folder = tmp_path_factory.mktemp("faults") / "desk"
    shutil.copytree(_small_world, folder)
    (folder / "study.yaml").write_text(yaml.safe_dump(FAULTS, sort_keys=False), encoding="utf-8")
    assert main(["run", str(folder / "study.yaml"), "--store", str(folder / "store")]) == 0
    return folder


@pytest.fixture(scope="session")
def _expected() -> dict[str, Any]:
    return {}


@pytest.fixture
def faulty(
    _faults_world: Path,
    _expected: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> FaultDesk:
    """A fresh copy of the study after it has run undisturbed; jobs are done in this process, where a test can reach them."""
    monkeypatch.setenv("TUNESCOPE_EXECUTOR", "inline")
    folder = tmp_path / "desk"
    shutil.copytree(_faults_world, folder)
    desk = FaultDesk(folder, capsys)
    if not _expected:
        _expected |= desk.told()
        assert len(desk.artifacts()) == NUM_JOBS
    desk.expected = _expected
    return desk


@pytest.fixture
def fresh(faulty: FaultDesk) -> FaultDesk:
    """A fresh copy of the study before it has run."""
    shutil.rmtree(faulty.store)
    return faulty
