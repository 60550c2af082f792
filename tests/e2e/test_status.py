"""`status` of a real study: while it runs, from another process with only the store; when its driver is dead; on and on."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from typing import Any

import pytest

from tunescope.steps import STEPS
from tunescope.store.history import read_runs
from tunescope.store.layout import Layout
from tunescope.store.live import process_key

pytestmark = pytest.mark.skipif(process_key(os.getpid()) is None, reason="no /proc on this system")


def _long(study: dict[str, Any]) -> dict[str, Any]:
    """One training of thousands of steps, which a test ends."""
    return study | {
        "tasks": study["tasks"][:1],
        "methods": {"full": study["methods"]["full"]},
        "seeds": [1],
        "training": {"batch_size": 8, "steps": 200_000},
    }


def _until(check, seconds=120.0):
    deadline = time.monotonic() + seconds
    while (found := check()) is None:
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
    return found


@pytest.fixture
def running(desk, study, start):
    """The command, in a process of its own, in the middle of its training."""
    path = desk.write(_long(study))
    process = start("run", path, "--store", desk.store, "--executor", "inline")

    def in_training():
        assert process.poll() is None, process.communicate()
        if not (desk.store / "live.json").exists():
            return None
        workers = json.loads((desk.store / "live.json").read_text())["workers"]
        return workers[0] if workers and workers[0]["job"] and workers[0]["job"]["progress"] else None

    try:
        _until(in_training)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_what_runs_now_is_seen_with_nothing_but_the_store_and_that_its_driver_was_killed(desk, running):
    said = desk.tunescope("status", desk.store)
    assert said.code == 0
    lines = [line.split() for line in said.out.splitlines()]
    assert ["jobs", "done", "running", "failed", "left"] in lines
    assert ["train", "0", "1", "0", "0"] in lines
    (worker,) = [line for line in said.out.splitlines() if "same-full-seed1 " in line]
    assert re.search(r"the command +same-full-seed1 +\d+/200000 +[\d.]+ +[\d.]+ +[\d:]+ left +[\d.]+ [GM]iB", worker)
    assert re.search(
        rf"running for [\d.]+ \w+: .*\(process {running.pid} on .*; it wrote [^)]+\)", " ".join(said.out.split())
    )
    assert "predicted end: " in said.out
    assert "Store: " in said.out

    running.kill()
    running.wait()
    said = desk.status()
    assert f"the driver is dead: process {running.pid} on" in said.out
    assert "run the same command again" in said.out.lower()
    assert ["train", "0", "0", "1"] in [line.split() for line in said.out.splitlines()]
    assert "predicted end" not in said.out


def test_after_an_interrupt_the_history_says_so(desk, running):
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    (line,), num_torn = read_runs(Layout(root=desk.store).runs("small"))
    assert (line.interrupted, line.killed, line.executor, num_torn) == (True, False, "inline", 0)
    assert line.left >= 2
    assert "the driver is dead" not in desk.status().out


def test_the_history_of_a_study_that_has_run(finished):
    (line,), _ = read_runs(Layout(root=finished.store).runs("small"))
    assert (line.done, line.reused, line.failed, line.left, line.interrupted) == (24, 0, 0, 0, False)
    assert 0.0 < line.job_seconds <= line.duration_s * line.num_workers
    assert finished.run().code == 0
    assert [line.reused for line in read_runs(Layout(root=finished.store).runs("small"))[0]] == [0, 24]
    live = json.loads((finished.store / "live.json").read_text())
    assert (live["state"], live["num_reused"]) == ("ended", 24)


def test_the_command_it_gives_shows_the_log_of_a_failure(desk, study, monkeypatch):
    def broken(config, inputs, out, scratch, context):
        raise RuntimeError("the step broke")

    monkeypatch.setitem(STEPS, "train", broken)
    desk.path = desk.write(study | {"tasks": study["tasks"][:1], "seeds": [1]})
    assert desk.run("--executor", "inline").code == 1
    said = desk.status()
    assert said.code == 1
    commands = [line.strip() for line in said.out.splitlines() if line.strip().startswith("tail ")]
    assert len(commands) == 2
    for command in commands:
        assert shlex.split(command)[:3] == ["tail", "-n", "50"]
        shown = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
        assert "RuntimeError: the step broke" in shown
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in shown.splitlines()[:2])
    assert "1 not run for want of it: same-full-seed1-evaluate" in said.out


def test_watch_prints_a_block_each_time_and_ends_with_0_on_ctrl_c(finished, start):
    process = start("status", finished.store, "--watch", "0.2")
    shown = [process.stdout.readline()]
    while sum("nothing left" in line for line in shown) < 3:
        shown.append(process.stdout.readline())
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert sum(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line) is not None for line in shown) == 3


def test_watch_refuses_what_is_no_time(finished):
    for text in ("0", "-1", "soon", "nan", "1e9"):
        said = finished.tunescope("status", finished.store, f"--watch={text}")
        assert said.code == 2
        assert "expected seconds" in said.err
