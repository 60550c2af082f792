"""The base model is read once for all runs of a task; kept or not, the numbers are the same, and their size is told beforehand."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import load_file

from tunescope.api.plan import plan_study
from tunescope.cli import main
from tunescope.drift.kept import KEPT_STATES_NAME, STATES_NAME
from tunescope.representations.states import StateReader

STUDY = {
    "name": "kept",
    "base_model": "tunescope/demo-llama",
    "tasks": [{"name": name, "max_train": 60} for name in ("demo_paraphrase", "demo_sentiment")],
    "methods": {"full": {"learning_rate": 1e-3}, "lora": {"rank": 4, "learning_rate": 1e-2}},
    "seeds": [1, 2],
    "baselines": [],
    "training": {"batch_size": 16, "steps": 2},
    "compute": {"device": "cpu", "num_threads": 1},
    "drift": {"pooling": ["last_token", "mean"], "controls": [], "weights": False, "layer_pairs": False},
}
"""8 trainings and evaluations, 2 readings of the base model, 8 drifts: 4 runs of each task."""
NUM_ROWS, NUM_FEATURES, NUM_STATES = 300, 128, 7


def _said(folder, keep):
    drift = STUDY["drift"] | ({} if keep is None else {"keep_representations": keep})
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY | {"drift": drift}), encoding="utf-8")
    return folder / "study.yaml"


@contextmanager
def _counted():
    """How many batches of states are read while it is open."""
    batches, read = [], StateReader.read
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StateReader, "read", lambda self, *given: batches.append(self) or read(self, *given))
        yield batches


def _records(folder, kind):
    """Label -> folder and record of each artifact of a kind."""
    found = {}
    for path in (folder / "store").glob(f"artifacts/{kind}/*/record.json"):
        record = json.loads(path.read_text())
        found.setdefault(record["label"], []).append((path.parent, record))
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The study run without keeping states, with the base model's, and with all; the batches that each run read."""
    folder = tmp_path_factory.mktemp("kept") / "desk"
    folder.mkdir()
    read = []
    for keep in (None, "base", True):
        with _counted() as batches:
            assert main(["run", str(_said(folder, keep)), "--store", str(folder / "store")]) == 0
        read.append(len(batches))
    return folder, read


@pytest.fixture
def kept(world, tmp_path):
    """A fresh copy of the study after its runs."""
    shutil.copytree(world[0], tmp_path / "kept")
    return tmp_path / "kept"


def test_one_reading_of_the_base_model_serves_all_runs_of_a_task(kept):
    kinds = Counter(path.parent.name for path in kept.glob("store/artifacts/*/*"))
    assert kinds["train"] == 8, "keeping states trains nothing anew"
    assert kinds["represent"] == 2 * 2, "two tasks; with states and without"
    assert kinds["drift"] == 3 * 8
    represent = _records(kept, "represent")
    assert sorted(represent) == ["demo_paraphrase-represent", "demo_sentiment-represent"]
    shared = Counter(record["inputs"]["base"] for entries in _records(kept, "drift").values() for _, record in entries)
    assert sorted(shared.values()) == [4, 4, 8, 8], "base and true share what was kept"


def test_numbers_are_the_same_whatever_is_kept(kept):
    drifts = _records(kept, "drift")
    assert len(drifts) == 8
    for entries in drifts.values():
        first, *others = (pq.read_table(folder / STATES_NAME).to_pylist() for folder, _ in entries)
        assert len(others) == 2
        assert any(row["value"] is not None and row["ci_low"] is not None for row in first)
        for other in others:
            assert len(other) == len(first)
            for one, two in zip(first, other, strict=True):
                assert two == {
                    name: pytest.approx(value, abs=1e-12) if isinstance(value, float) else value
                    for name, value in one.items()
                }


def test_a_base_model_that_was_kept_is_not_run_forward_again(world):
    (never, base, everything) = world[1]
    once = never // (2 + 16) * 2  # batches of both tasks: each base model once, then each of 8 runs and its base
    assert never == once * 9
    assert base == once * (1 + 4)
    assert everything == once * 4, "the base model's states are there already"


def test_what_plan_says_is_what_lies_on_the_disk(kept):
    def planned(keep):
        plan, _ = plan_study(_said(kept, keep))
        return {job.label: job for job in plan.jobs}

    never, of_base, everything = (planned(keep) for keep in (None, "base", True))
    exact = NUM_ROWS * NUM_FEATURES * NUM_STATES * 2 * 4
    for task in ("demo_paraphrase", "demo_sentiment"):
        job = everything[f"{task}-represent"]
        assert job.id == of_base[job.label].id
        folder = kept / "store" / "artifacts" / "represent" / job.id
        on_disk = sum(path.stat().st_size for path in folder.iterdir() if path.name != "record.json")
        assert job.resources.disk_gib * 2**30 == pytest.approx(on_disk, rel=0.01)
        assert (folder / KEPT_STATES_NAME).stat().st_size == pytest.approx(exact, rel=0.01)
        assert never[job.label].resources.disk_gib < 0.1 * job.resources.disk_gib
        for method in ("full", "lora"):
            label = f"{task}-{method}-seed2-drift"
            more = everything[label].resources.disk_gib - of_base[label].resources.disk_gib
            path = kept / "store" / "artifacts" / "drift" / everything[label].id / KEPT_STATES_NAME
            assert more * 2**30 == pytest.approx(path.stat().st_size, rel=0.01)
            assert not (kept / "store" / "artifacts" / "drift" / of_base[label].id / KEPT_STATES_NAME).exists()
            states = load_file(path)
            assert len(states) == NUM_STATES * 2
            assert states["block_01/mean"].shape == (NUM_ROWS, NUM_FEATURES)


def test_plan_and_check_tell_the_size_before_anything_runs(desk):
    said = desk.tunescope("plan", _said(desk.folder, "base"))
    assert said.code == 0, said.err
    assert "of the disk, 4 MiB are kept hidden states, the base models' (drift.keep_representations)" in " ".join(
        said.out.split()
    )
    kept, plain = (
        desk.tunescope("check", _said(desk.folder, keep), "--store", desk.store).out for keep in (True, None)
    )
    assert "GiB" in kept
    gib = [float(out.split("they keep about ")[1].split(" GiB")[0]) for out in (kept, plain)]
    assert gib[0] - gib[1] == pytest.approx((2 + 8) * NUM_ROWS * NUM_FEATURES * NUM_STATES * 2 * 4 / 2**30, abs=0.011)


@pytest.mark.parametrize("harm", ["damaged", "foreign"])
def test_a_reading_that_is_damaged_or_of_something_else_is_refused(desk, kept, harm):
    path = _said(kept, "base")
    plan, _ = plan_study(path)
    job = next(job for job in plan.jobs if job.label == "demo_sentiment-lora-seed1-drift")
    store, base = kept / "store", job.inputs["base"]
    shutil.rmtree(store / "artifacts" / "drift" / job.id)
    folder = store / "artifacts" / "represent" / base.id
    if harm == "damaged":
        states = folder / KEPT_STATES_NAME
        content = bytearray(states.read_bytes())
        content[-1] ^= 1
        states.write_bytes(bytes(content))
    else:
        other = next(one for one in plan.jobs if one.label == "demo_paraphrase-represent")
        shutil.rmtree(folder)
        shutil.copytree(store / "artifacts" / "represent" / other.id, folder)
    said = desk.tunescope("run", path, "--store", store)
    assert said.code in (1, 2)
    told = said.out + said.err
    assert "Traceback" not in told
    assert Path(folder).name[:8] in told
    assert not (store / "artifacts" / "drift" / job.id).exists()
