"""Two commands on one store, a lock that a dead process left, a store that has moved, and folders that may not be written in."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from disks import bound_by_permissions


def _wait_until(there, process, what):
    deadline = time.monotonic() + 90.0
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)


def test_a_second_driver_is_told_who_holds_the_store_and_the_first_is_undisturbed(fresh, start):
    first = start("run", fresh.path, "--store", fresh.store)
    _wait_until(lambda: list(fresh.store.glob("artifacts/*")), first, "the first artifact")
    refused = 0
    while first.poll() is None:
        second = fresh.run()
        if second.code == 0:  # the first has ended in between
            break
        refused += 1
        assert second.code == 2, second
        assert (
            f"the store {fresh.store} is in use by process {first.pid} on {socket.gethostname()} since " in second.err
        )
        assert "Wait until it has ended, or stop it; a store serves one run at a time." in second.err
        assert second.err.count("\n") == 1, "said once"
    said, complaints = first.communicate(timeout=90)
    assert (first.returncode, complaints) == (0, ""), said
    assert refused
    assert "21 jobs done, 0 were there, 0 failed" in said
    assert "0 jobs done, 21 were there" in fresh.goes_on()


@pytest.mark.parametrize(
    "left",
    [
        lambda dead: json.dumps(
            {
                "pid": dead,
                "host": socket.gethostname(),
                "since": "2001-01-01T00:00:00+00:00",
                "command": "tunescope run",
            }
        ),
        lambda dead: '{"pid": 12',
        lambda dead: "\0" * 4096,
        lambda dead: json.dumps(
            {"pid": 1, "host": "elsewhere", "since": "2065-01-01T00:00:00+00:00", "command": "x" * 9999}
        ),
    ],
    ids=["dead process", "torn", "zeros", "another machine"],
)
def test_a_lock_file_that_nobody_holds_is_no_lock(faulty, left):
    process = subprocess.Popen(["true"])
    process.wait()
    (faulty.store / "lock").write_text(left(process.pid))
    assert "0 jobs done, 21 were there" in faulty.goes_on()


def test_a_store_that_moved_is_gone_on_with(fresh, start):
    first = start("run", fresh.path, "--store", fresh.store, "--set", "compute.checkpoint_every_s=0")
    _wait_until(lambda: len(list(fresh.store.glob("artifacts/*/*/record.json"))) > 4, first, "a part of the study")
    first.send_signal(signal.SIGKILL)
    first.wait()
    made = fresh.artifacts()
    moved = fresh.folder / "another disk" / "störe"
    moved.parent.mkdir()
    shutil.move(fresh.store, moved)
    fresh.store = moved
    said = fresh.goes_on()
    assert f"{len(made)} there already" in said
    assert {name: fresh.artifacts()[name] for name in made} == made
    once_more = fresh.folder / "store"
    shutil.move(moved, once_more)
    fresh.store = once_more
    assert "0 jobs done, 21 were there" in fresh.goes_on()


def _as_a_user(desk, *words):
    """The command without root's right to write anywhere, which permissions do not bind."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux: only there can root's right to write anywhere be taken from one process")
    return desk.apart(*words, preexec_fn=bound_by_permissions)


def test_no_permission_to_write_in_the_folder_above(fresh):
    parent = fresh.folder / "shared"
    parent.mkdir(mode=0o555)
    said = _as_a_user(fresh, "run", fresh.path, "--store", parent / "store")
    assert said.returncode == 2
    assert said.stderr == (
        f"tunescope: cannot write in {parent}: it is not writable. Change that, or name another folder with --store.\n"
    )
    parent.chmod(0o755)
    fresh.store = parent / "store"
    fresh.goes_on()


@pytest.mark.parametrize("part", ["artifacts/evaluate", "work", "logs", "studies/faults", "lock"])
def test_no_permission_to_write_in_a_part_of_the_store(faulty, part):
    faulty.forget(faulty.artifact("evaluate", "same-full-seed1-evaluate"))
    place = faulty.store / part
    place.chmod(0o555 if place.is_dir() else 0o444)
    said = _as_a_user(faulty, "run", faulty.path, "--store", faulty.store)
    assert said.returncode in (1, 2), said
    assert "is not writable" in " ".join((said.stdout + said.stderr).split())
    assert "Traceback" not in said.stderr
    place.chmod(0o755)
    assert "1 job done, 20 were there" in faulty.goes_on()


def test_a_store_that_may_not_be_read_or_written_is_read_as_far_as_it_can_be(faulty):
    for path in faulty.store.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    faulty.store.chmod(0o555)
    results = _as_a_user(faulty, "results", faulty.path, "--store", faulty.store, "--format", "json")
    assert results.returncode == 0, results.stderr
    assert len(results.stdout.splitlines()) == len(faulty.expected[""])
    assert _as_a_user(faulty, "status", faulty.path, "--store", faulty.store).returncode == 0
    said = _as_a_user(faulty, "run", faulty.path, "--store", faulty.store)
    assert said.returncode == 2
    assert "is not writable" in said.stderr
    assert str(faulty.store) in said.stderr
    assert "or name another folder with --store" in said.stderr
    faulty.store.chmod(0o000)
    said = _as_a_user(faulty, "status", faulty.path, "--store", faulty.store)
    assert said.returncode == 2
    assert "cannot be read: permission denied" in said.stderr
    assert "Traceback" not in said.stderr
    faulty.store.chmod(0o755)
