"""A store that cannot be used is said once, in words, with exit code 2, and nothing is written."""

from __future__ import annotations

import contextlib
import json
import os
import time

import pytest
import torch

from disks import small_disk_at
from tiny import tiny_llama


def test_a_store_that_is_a_file_or_somebody_elses_folder(desk):
    desk.store.write_text("mine", encoding="utf-8")
    assert desk.refused() == ["the store DESK/store is a file: expected a folder. Name another with --store."]
    desk.store = desk.folder / "model"
    (line,) = desk.refused()
    assert line.startswith("DESK/model is not a tunescope store (it has no store.json) and not empty: ")
    desk.store = desk.folder / "study.yaml" / "store"
    assert desk.refused() == [
        "the store DESK/study.yaml/store cannot be made: a part of the path is a file. Name another with --store."
    ]


def test_an_empty_folder_becomes_a_store(desk, study):
    desk.write(study | {"tasks": study["tasks"][:1], "methods": {"head_only": {}}, "seeds": [1], "baselines": []})
    desk.store.mkdir()
    assert desk.run().code == 0


def test_no_store_to_read_from(desk):
    for command in ("status", "results"):
        said = desk.tunescope(command, desk.path, "--store", desk.store)
        assert said.code == 2
        assert "nothing has run yet. `tunescope run " in said.err
    said = desk.tunescope("forget", "abcd", "--store", desk.store)
    assert said.code == 2
    assert "there is no store at " in said.err
    assert not desk.store.exists()


@pytest.fixture
def small_disk(desk):
    """A disk of 1 MiB at DESK/disk, and a function that mounts it anew with other options."""
    folder = desk.folder / "disk"
    with small_disk_at(folder) as mount_anew:
        yield folder, mount_anew


def test_a_read_only_disk(desk, small_disk):
    folder, remount = small_disk
    remount("ro")
    desk.store = folder / "store"
    (line,) = desk.refused()
    assert line == (
        "cannot write in DESK/disk: it is on a read-only file system. Change that, or name another folder with --store."
    )


def test_a_store_that_may_not_be_written_to(desk, monkeypatch):
    desk.store.mkdir()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))
    said = desk.run()
    assert said.code == 2
    assert f"the store {desk.store} is not writable: change that, or name another folder with --store." in said.err


def test_a_full_disk(desk, small_disk):
    folder, _remount = small_disk
    with open(folder / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    desk.store = folder / "store"
    said = desk.run()
    assert said.code == 2
    assert said.err.startswith("tunescope: cannot write in ")
    assert "the disk is full (0.0 MiB free). Free some space or name a store on another disk with --store" in said.err
    assert "Traceback" not in said.err
    assert not list(desk.store.rglob("*.json"))


def test_a_disk_that_fills_up_fails_the_jobs_and_says_why(desk, study, small_disk):
    folder, remount = small_disk
    tiny_llama(desk.folder / "model", hidden_size=128, intermediate_size=512)
    desk.write(study | {"tasks": study["tasks"][:1], "methods": {"full": {}, "head_only": {}}, "seeds": [1]})
    desk.store = folder / "store"
    said = desk.run()
    assert said.code == 1
    assert "found the disk full: " in said.out
    assert "Free some space and run the same command again; it goes on from the last checkpoint." in said.out
    assert "Report: not written: " in said.out
    remount("size=64m")
    mended = desk.run()
    assert mended.code == 0
    assert "0 failed, 0 blocked" in mended.out


def test_a_torn_record(desk, study):
    desk.write(study | {"tasks": study["tasks"][:1], "methods": {"head_only": {}}, "seeds": [1]})
    assert desk.run().code == 0
    (record,) = desk.store.glob("artifacts/train/*/record.json")
    os.truncate(record, 100)
    short = record.parent.name[:8]
    (line,) = desk.refused()
    assert line.startswith(f"artifact train/{short} is not whole: record.json is torn")
    assert line.endswith(f"Rebuild: tunescope forget {short} --store DESK/store")
    for command in ("status", "results"):
        told = desk.tunescope(command, desk.path, "--store", desk.store)
        assert f"tunescope forget {short}" in " ".join(told.out.split())
    assert desk.tunescope("forget", short, "--store", desk.store).code == 0
    again = desk.run()
    assert again.code == 0
    assert "1 job done, 6 were there" in again.out


def test_two_runs_on_one_store_at_once(desk, study, start):
    training = {"batch_size": 8, "steps": 1_000_000}
    small = study | {"tasks": study["tasks"][:1], "methods": {"head_only": {}}, "seeds": [1], "training": training}
    path = desk.write(small)
    first = start("run", path, "--store", desk.store)
    try:
        deadline = time.monotonic() + 90.0
        while not list(desk.store.glob("work/train-*/scratch/*")):
            assert first.poll() is None, first.communicate()
            assert time.monotonic() < deadline, "the first run did not begin"
            time.sleep(0.05)
        second = desk.run()
        assert second.code == 2
        assert f"the store {desk.store} is in use by process {first.pid} on " in second.err
        assert second.err.rstrip().endswith("Wait until it has ended, or stop it; a store serves one run at a time.")
        assert desk.status().code == 0  # reading needs no lock
    finally:
        first.terminate()
        _, complaints = first.communicate(timeout=60)
    assert first.returncode == 130, complaints


def _edit(path, old, new):
    """Changes a file in place, its size kept, as an editor or a failing disk may."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    assert path.stat().st_size == len(content)


def _flip(path):
    """Turns over the last bit of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_score_that_was_edited_is_never_shown(finished):
    (before, *_) = [row for row in finished.rows() if (row["method"], row["seed"]) == ("full", 1)]
    metrics = finished.store / "artifacts" / "evaluate" / before["job"] / "metrics.json"
    digits = f"{before['value']:.3f}"[:4].encode()
    _edit(metrics, digits, b"0.99")
    (after, *_) = [row for row in finished.rows() if (row["method"], row["seed"]) == ("full", 1)]
    told = (
        f"artifact evaluate/{before['job'][:8]} (same-full-seed1-evaluate) is not whole: metrics.json holds other bytes than "
        f"were written. Rebuild: tunescope forget {before['job'][:8]} --store "
    )
    assert (after["value"], after["state"]) == (None, "failed")
    assert after["reason"].startswith(told)
    shown = finished.tunescope("results", finished.path, "--store", finished.store)
    assert told[:60] in shown.out
    assert "99.0" not in shown.out
    (line,) = finished.refused()
    assert line.startswith(told)
    status = finished.status()
    assert status.code == 1
    assert told[:60] in " ".join(status.out.split())
    assert finished.tunescope("forget", before["job"][:8], "--store", finished.store).code == 0
    assert finished.run().code == 0
    assert finished.rows()[0]["value"] == before["value"]


def test_predictions_that_were_damaged_are_not_compared(finished):
    (row, *_) = [row for row in finished.rows() if (row["method"], row["seed"]) == ("full", 1)]
    _flip(finished.store / "artifacts" / "evaluate" / row["job"] / "predictions.parquet")
    said = finished.tunescope("compare", finished.path, "--store", finished.store, "--format", "json")
    told = [json.loads(line) for line in said.out.splitlines()]
    assert [one["verdict"] for one in told if one["task"] == "same"] == ["not estimable"]
    assert "predictions.parquet holds other bytes than were written" in told[0]["reason"]
    damaged = [one for one in finished.rows() if one["state"] == "failed"]
    assert {one["job"] for one in damaged} == {row["job"]}, "`results` shows what there is, and exits with 0"
    assert "predictions.parquet holds other bytes than were written" in damaged[0]["reason"]
    assert finished.status().code == 1
    assert "predictions.parquet holds other bytes than were written" in finished.refused()[0]


def test_damaged_weights_are_never_evaluated(finished):
    (row, *_) = [row for row in finished.rows() if (row["method"], row["seed"]) == ("lora", 1)]
    _flip(finished.store / "artifacts" / "train" / row["train_job"] / "adapter" / "adapter_model.safetensors")
    assert finished.tunescope("forget", row["job"][:8], "--store", finished.store).code == 0
    said = finished.run()
    assert said.code == 1
    told = f"artifact train/{row['train_job'][:8]} (same-lora-seed1) is not whole: adapter/adapter_model.safetensors holds other"
    assert told in " ".join(said.out.split())
    assert f"evaluate/{row['job']}" not in finished.artifacts()
    assert finished.tunescope("forget", row["train_job"][:8], "--store", finished.store).code == 0
    assert finished.run().code == 0
    assert finished.rows()[0].keys() == row.keys()


def test_every_torn_artifact_is_named_and_none_hides_the_others(finished):
    torn = sorted(finished.store.glob("artifacts/evaluate/*/record.json"))[:3]
    for record in torn:
        os.truncate(record, 100)
    shorts = {record.parent.name[:8] for record in torn}
    refused = finished.refused()
    assert {line.split()[1] for line in refused} == {f"evaluate/{short}" for short in shorts}
    status = finished.status()
    assert status.code == 1
    assert ["evaluate", "5", "3", "0"] in [line.split() for line in status.out.splitlines()]
    assert all(f"tunescope forget {short}" in " ".join(status.out.split()) for short in shorts)
    rows = finished.rows()
    assert {row["job"][:8] for row in rows if row["state"] == "failed"} == shorts
    assert sum(row["value"] is not None for row in rows if row["kind"] == "run") == 10


def test_a_device_that_is_not_there_is_told_before_anything_is_written(desk):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    (line,) = desk.refused("--set", "compute.device=cuda")
    assert line.startswith("compute.device is cuda, and torch sees no GPU here.")
