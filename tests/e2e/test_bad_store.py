"""A store that cannot be used is said once, in words, with exit code 2, and nothing is written."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time

import pytest

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
    folder.mkdir()

    def mount(*options):
        return subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)

    if shutil.which("mount") is None or (tried := mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")).returncode:
        pytest.skip(
            f"cannot mount a disk here: {tried.stderr.strip() if shutil.which('mount') else 'no mount command'}"
        )
    yield folder, lambda options: mount("-o", f"remount,{options}", "-t", "tmpfs", "tmpfs").check_returncode()
    subprocess.run(["umount", str(folder)], check=True)


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
        assert desk.tunescope(command, desk.path, "--store", desk.store).code == 2
    assert desk.tunescope("forget", short, "--store", desk.store).code == 0
    again = desk.run()
    assert again.code == 0
    assert "1 jobs done, 5 were there" in again.out


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
