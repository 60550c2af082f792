"""A disk that is full just when something of a study is to be written: told in words, and with room the same command goes on."""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress

import pytest

import tunescope.api.run
import tunescope.execution.worker
import tunescope.steps.drift
import tunescope.steps.evaluate
import tunescope.steps.represent
import tunescope.steps.train
import tunescope.store.store
import tunescope.store.studies
import tunescope.training.loop
from disks import small_disk_at
from tunescope.steps import STEPS
from tunescope.training.metric_log import MetricLog


class SmallDisk:
    """A disk of its own, which can be filled to the last byte and emptied again."""

    def __init__(self, folder):
        self.folder, self._ballast = folder, folder / "ballast"

    def fill(self):
        with open(self._ballast, "ab", buffering=0) as file:
            for size in (2**20, 4096):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
        assert shutil.disk_usage(self.folder).free == 0

    def empty(self):
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def small_disk(fresh):
    folder = fresh.folder / "disk"
    with small_disk_at(folder) as mount_anew:
        mount_anew("size=24m")
        fresh.store = folder / "store"
        yield SmallDisk(folder)


@pytest.fixture
def full_before(small_disk, monkeypatch):
    """Makes the disk full just before a function is called for the first time; until the patch is undone it is left so."""

    def patch(owner, name):
        given = getattr(owner, name)

        def full(*values, **named):
            small_disk.fill()
            return given(*values, **named)

        monkeypatch.setattr(owner, name, full)

    return patch


IN_A_JOB = {
    "the weights": (tunescope.steps.train, "save_tuned"),
    "a checkpoint": (tunescope.training.loop, "save_checkpoint"),
    "the metric log": (MetricLog, "flush"),
    "the predictions": (tunescope.steps.evaluate, "write_scores"),
    "the base model's states": (tunescope.steps.represent, "save_statistics"),
    "a record": (tunescope.store.store, "write_text"),
    "the job's log": (tunescope.execution.worker, "logging_to"),
}
"""What is to be written when the disk is full -> the function that writes it."""


@pytest.mark.parametrize("what", IN_A_JOB)
def test_a_job_that_meets_a_full_disk_fails_and_is_made_with_room(fresh, small_disk, full_before, monkeypatch, what):
    with monkeypatch.context():
        full_before(*IN_A_JOB[what])
        said = fresh.run("--set", "compute.checkpoint_every_s=0")
    monkeypatch.undo()
    monkeypatch.setenv("TUNESCOPE_EXECUTOR", "inline")
    _is_told(said, 1)
    told = " ".join(said.out.split())
    assert "found the disk full" in told or "the disk is full" in told
    assert "Report: not written" in told
    small_disk.empty()
    fresh.goes_on()
    assert not list((fresh.store / "failures").glob("*"))


def _is_told(said, *codes):
    assert said.code in codes, said
    assert "Traceback" not in said.out + said.err


@pytest.mark.parametrize("name", ["write_text", "write_json"])
def test_a_file_of_the_study_that_cannot_be_written(fresh, small_disk, full_before, monkeypatch, name):
    full_before(tunescope.store.studies, name)
    said = fresh.run()
    _is_told(said, 2)
    assert "the disk is full (0.0 MiB free). Free some space or name a store on another disk with --store" in said.err
    monkeypatch.undo()
    monkeypatch.setenv("TUNESCOPE_EXECUTOR", "inline")
    small_disk.empty()
    fresh.goes_on()


def test_a_failure_that_cannot_be_kept(fresh, small_disk, monkeypatch):
    def break_on_a_full_disk(*given):
        small_disk.fill()
        raise RuntimeError("the step broke")

    with monkeypatch.context() as patched:
        patched.setitem(STEPS, "evaluate", break_on_a_full_disk)
        said = fresh.run()
    _is_told(said, 1)
    told = " ".join(said.out.split())
    assert "failed with RuntimeError: the step broke" in told
    assert "This reason was not kept either: cannot write in" in told
    small_disk.empty()
    fresh.goes_on()


@pytest.mark.parametrize("name", ["write_optuna_storage", "write_opened"])
def test_what_is_written_after_the_jobs(fresh, small_disk, full_before, monkeypatch, name):
    full_before(tunescope.api.run, name)
    said = fresh.run()
    _is_told(said, 1)
    told = " ".join((said.out + said.err).split())
    assert "21 jobs done" in told
    assert "disk is full" in told
    monkeypatch.undo()
    monkeypatch.setenv("TUNESCOPE_EXECUTOR", "inline")
    small_disk.empty()
    assert "0 jobs done, 21 were there" in fresh.goes_on()
    assert (fresh.store / "studies" / "faults" / "optuna.db").exists()


def test_a_disk_that_fills_up_by_itself_under_workers(fresh, small_disk, monkeypatch):
    monkeypatch.setenv("TUNESCOPE_EXECUTOR", "local")
    (small_disk.folder / "other").write_bytes(bytes(shutil.disk_usage(small_disk.folder).free - 200 * 1024))
    said = fresh.run("--workers", "2")
    _is_told(said, 1, 2)
    assert "the disk is full" in said.out + said.err or "found the disk full" in said.out
    (small_disk.folder / "other").unlink()
    fresh.goes_on()


def test_files_may_only_be_so_large(fresh):
    """`ulimit -f`, as some clusters set it: another error than a full disk, met by the same writers."""
    limit = 40 * 1024

    def limited():
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    said = fresh.apart("run", fresh.path, "--store", fresh.store, preexec_fn=limited)
    assert said.returncode in (1, 2), said
    assert "Traceback" not in said.stderr
    assert "File too large" in said.stdout + said.stderr or "the file is larger than" in said.stdout + said.stderr
    fresh.goes_on()
