"""One worker on a job at a time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tunescope.errors import StoreError
from tunescope.store import Store
from tunescope.store.job_lock import job_held

_HOLD = """
import sys, time
from pathlib import Path
from tunescope.store import Store
from tunescope.store.job_lock import job_held
with job_held(Store.open(Path(sys.argv[1]), create=False), "fake", "0" * 16):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


def test_a_job_is_held_while_the_block_runs_and_leaves_no_file(store):
    for _ in range(2):
        with job_held(store, "fake", "0" * 16):
            assert [file.name for file in (store.path / "work").iterdir()] == [f".busy-fake-{'0' * 16}"]
        assert list((store.path / "work").iterdir()) == []


def test_who_finds_it_held_waits_and_then_says_so(store):
    naps = []
    with (
        job_held(store, "fake", "0" * 16),
        pytest.raises(StoreError, match="still under way in another process"),
        job_held(store, "fake", "0" * 16, patience_s=2.0, sleep=naps.append),
    ):
        raise AssertionError("held twice")
    assert sum(naps) == pytest.approx(2.0)


def test_other_jobs_are_not_held_up(store):
    with job_held(store, "fake", "0" * 16), job_held(store, "fake", "1" * 16, patience_s=0.0):
        assert len(list((store.path / "work").iterdir())) == 2


def test_the_death_of_its_holder_lets_it_go(store):
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(store.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"

        def kill(seconds):
            holder.kill()
            holder.wait()

        with job_held(store, "fake", "0" * 16, sleep=kill):
            assert holder.returncode == -9
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
