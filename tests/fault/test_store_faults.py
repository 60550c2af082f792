"""Torn files, full and read-only disks, two runs at once, kills and Ctrl-C: what is on disk, and what the next run does."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from disks import small_disk_at
from fake_steps import fake_job, inline, ran
from tunescope.errors import StoreError
from tunescope.execution import run_plan
from tunescope.store import Store

_HERE = Path(__file__).resolve().parent


@pytest.fixture
def counts(tmp_path):
    return tmp_path / "ran"


@pytest.fixture
def made(tmp_path, counts):
    """A store with one artifact of two files; returns (store, job, artifact folder)."""
    store = Store.open(tmp_path / "store", create=True)
    job = fake_job("sst2-lora")
    run_plan([job], store, inline(store, counts))
    return store, job, store.artifact(job.kind, job.id)


def _rebuild(store, job):
    return f"Rebuild: tunescope forget {job.id[:8]} --store {store.path}"


# Artifacts that are not whole


@pytest.mark.parametrize(
    "damage,found",
    [
        (lambda folder: (folder / "record.json").write_bytes(b""), r"record\.json is torn"),
        (lambda folder: os.truncate(folder / "record.json", 300), r"record\.json is torn"),
        (lambda folder: (folder / "record.json").write_bytes(b"\xff\xfe\x00"), r"record\.json is torn \(not UTF-8"),
        (lambda folder: (folder / "record.json").unlink(), r"record\.json is missing"),
        (lambda folder: (folder / "file0.txt").unlink(), r"\(sst2-lora\) .* file0\.txt is missing"),
        (lambda folder: shutil.rmtree(folder / "sub"), r"\(sst2-lora\) .* sub/file1\.txt is missing"),
        (lambda folder: os.truncate(folder / "file0.txt", 7), r"file0\.txt has 7 bytes instead of 600"),
        (
            lambda folder: ((folder / "file0.txt").unlink(), os.symlink("/etc/hostname", folder / "file0.txt")),
            r"file0\.txt is not a plain file",
        ),
    ],
)
def test_a_damaged_artifact_is_found_told_and_rebuilt(made, counts, damage, found):
    store, job, folder = made
    damage(folder)
    with pytest.raises(StoreError, match=rf"artifact fake/{job.id[:8]} .*is not whole: .*") as error:
        run_plan([job], store, inline(store, counts))
    with pytest.raises(StoreError, match=found):
        store.artifact(job.kind, job.id)
    assert str(error.value).endswith(_rebuild(store, job))
    assert len(ran(counts)) == 1
    store.forget(job.id[:8])
    assert run_plan([job], store, inline(store, counts)).exit_code == 0
    store.verify(job.kind, job.id)
    assert len(ran(counts)) == 2


def test_a_flipped_bit_is_found_by_verify(made):
    store, job, folder = made
    content = bytearray((folder / "file0.txt").read_bytes())
    content[100] ^= 1
    (folder / "file0.txt").write_bytes(content)
    assert store.artifact(job.kind, job.id) == folder  # the cheap check goes by sizes
    with pytest.raises(StoreError, match=r"\(sst2-lora\) is not whole: file0\.txt holds other bytes"):
        store.verify(job.kind, job.id)


def test_a_file_beside_those_recorded_is_found_by_verify(made):
    store, job, folder = made
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(StoreError, match=r"adapter_config\.json is there, and its record does not know it"):
        store.verify(job.kind, job.id)


def test_a_changed_config_in_a_record_is_found_by_verify(made):
    store, job, folder = made
    record = json.loads((folder / "record.json").read_text())
    record["config"]["num_files"] = 7
    (folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(StoreError, match="its record was changed"):
        store.verify(job.kind, job.id)


def test_an_artifact_under_another_id_is_found(made):
    store, _job, folder = made
    os.rename(folder, folder.with_name("0" * 16))
    with pytest.raises(StoreError, match=r"artifact fake/00000000 .* is not whole: its record is of fake/"):
        store.artifact("fake", "0" * 16)


def test_a_torn_failure_says_what_to_do(made):
    store, job, _folder = made
    path = store.path / "failures" / f"fake-{job.id}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"label"')
    with pytest.raises(StoreError, match="is torn: delete it, and run the study again"):
        store.failure(job.kind, job.id)


def test_a_torn_plan_says_what_to_do(made):
    store, _job, _folder = made
    store.studies.save("demo", "", {}, {})
    (store.path / "studies" / "demo" / "plan.json").write_text("{")
    with pytest.raises(StoreError, match="is torn: run the study again"):
        store.studies.plan("demo")


def test_a_store_that_is_a_file_is_refused_and_left_as_it_is(tmp_path, counts):
    (tmp_path / "store").write_text("mine")
    process = _start(tmp_path / "store", counts, "a")
    assert "is a file: expected a folder" in process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert (tmp_path / "store").read_text() == "mine"
    assert ran(counts) == []


# Disks


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB of its own, and a function that mounts it anew with other options."""
    folder = tmp_path / "disk"
    with small_disk_at(folder) as mount_anew:
        yield folder, mount_anew


def test_a_really_full_disk_fails_the_job_and_room_lets_it_go_on(small_disk, counts):
    folder, remount = small_disk
    store = Store.open(folder / "store", create=True)
    jobs = [fake_job("big", does="fill the disk"), fake_job("small")]
    summary = run_plan(jobs, store, inline(store, counts))
    (failed,) = summary.failed
    assert "(big) found the disk full" in failed.error.reason
    assert store.failure("fake", jobs[0].id) == failed.error  # its own half-made output made room for the reason
    assert [job.label for job in summary.done] == ["small"]
    assert store.artifact("fake", jobs[0].id) is None
    remount("size=16m")
    assert run_plan(jobs, store, inline(store, counts)).exit_code == 0
    assert ran(counts) == ["big", "small", "big"]


def test_a_disk_without_room_for_anything_is_told_in_words(small_disk, counts):
    folder, _remount = small_disk
    store = Store.open(folder / "store", create=True)
    _fill(folder)
    with pytest.raises(StoreError, match=r"the disk is full \(0\.0 MiB free\)\. Free some space"):
        run_plan([fake_job("a")], store, inline(store, counts))
    with pytest.raises(StoreError, match="the disk is full"):
        store.studies.save("demo", "name: demo\n", {}, {})
    assert ran(counts) == []


def _fill(folder):
    with open(folder / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(folder).free == 0


def test_a_really_read_only_disk_can_be_read_and_not_run_on(small_disk, counts):
    folder, remount = small_disk
    store = Store.open(folder / "store", create=True)
    job = fake_job("a")
    run_plan([job], store, inline(store, counts))
    remount("ro")
    with pytest.raises(StoreError, match="is not writable: change that, or name another folder"):
        Store.open(folder / "store", create=True)
    with pytest.raises(StoreError, match="is on a read-only file system"):
        Store.open(folder / "new", create=True)
    reader = Store.open(folder / "store", create=False)
    reader.verify(job.kind, job.id)
    with pytest.raises(StoreError, match="is on a read-only file system"):
        run_plan([job], reader, inline(reader, counts))
    remount("rw")


def test_a_full_disk_at_any_sync_of_a_commit_leaves_no_artifact(tmp_path, counts, monkeypatch):
    sync = os.fsync
    num_syncs = 0

    def fail_at(number):
        nonlocal num_syncs
        num_syncs = 0

        def fsync(descriptor):
            nonlocal num_syncs
            num_syncs += 1
            if num_syncs == number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    moments = 0
    while True:
        monkeypatch.setattr(os, "fsync", sync)
        store = Store.open(tmp_path / f"store{moments}", create=True)
        job = fake_job("a")
        fail_at(moments + 1)
        summary = run_plan([job], store, inline(store, counts))
        if not summary.failed:
            break
        moments += 1
        assert "(a) found the disk full" in summary.failed[0].error.reason
        monkeypatch.setattr(os, "fsync", sync)
        # Only the sync after the rename can fail with the artifact in place: it is whole then.
        if store.artifact(job.kind, job.id) is not None:
            store.verify(job.kind, job.id)
        assert run_plan([job], store, inline(store, counts)).exit_code == 0
        store.verify(job.kind, job.id)
    assert moments >= 7  # two files, record, its folder, two folders, kind's folders, and the artifact's parent


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_at_any_moment_is_told_in_words_and_once_it_is_mended_the_run_goes_on(number):
    rows = _everywhere("fail_everywhere.py", str(number))
    assert len(rows) > 90
    words = {
        errno.ENOSPC: ("the disk is full", "found the disk full"),
        errno.EROFS: ("is on a read-only file system",),
        errno.EIO: ("the disk reports an input/output error",),
    }
    for row in rows:
        assert row["traceback"] == "", row
        assert (row["code_after"], row["left_in_work"], row["failures"]) == (0, [], []), row
        assert row["resumed"] == [name for name in ("base", "tuned") if name not in row["whole"]], row
        if (
            row["code"] == 0
        ):  # nothing is lost where the holder's name stays in the lock, or an empty folder in the store
            assert row["event"].startswith(("os.truncate", "os.rmdir store/work/.trash")), row
        else:
            assert any(one in row["told"] for one in words[number]), row
    assert {row["code"] for row in rows} >= {1, 2}
    assert {len(row["whole"]) for row in rows} == {0, 1, 2}


def test_a_store_that_cannot_be_written_to_is_told_without_root_tricks(tmp_path, monkeypatch):
    store = Store.open(tmp_path, create=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StoreError, match="is not writable"):
        Store.open(tmp_path, create=True)
    assert Store.open(tmp_path, create=False).path == store.path


# Processes


def _start(store, counts, *names):
    command = [sys.executable, str(_HERE / "fake_run.py"), str(store), str(counts), *names]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment())


def _environment():
    paths = [str(_HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def _wait_until_begun(process, counts, name):
    deadline = time.monotonic() + 60.0
    while name not in ran(counts):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{name} did not begin"
        time.sleep(0.02)
    time.sleep(0.1)  # into its sleep


def test_a_second_run_on_a_store_is_told_who_holds_it_and_a_kill_frees_it(tmp_path, counts):
    store = tmp_path / "store"
    first = _start(store, counts, "a", "b=hang once", "c")
    _wait_until_begun(first, counts, "b")
    second = _start(store, counts, "c")
    _, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"in use by process {first.pid} on " in said
    assert "fake_run.py" in said
    assert "b=hang" not in said  # values are not told
    assert Store.open(store, create=False).artifact("fake", fake_job("a").id) is not None  # reading needs no lock
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    third = _start(store, counts, "a", "b=hang once", "c")
    assert third.communicate(timeout=60)[0] == "done 2 reused 1 left 0\n"
    assert third.returncode == 0
    assert ran(counts) == ["a", "b", "b", "c"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_within_seconds_and_a_resume_does_what_is_left(tmp_path, counts, number):
    names = ("a", "b=hang once", "c")
    process = _start(tmp_path / "store", counts, *names)
    _wait_until_begun(process, counts, "b")
    started = time.monotonic()
    process.send_signal(number)
    said, complaints = process.communicate(timeout=60)
    assert time.monotonic() - started < 5.0
    assert (process.returncode, said, complaints) == (130, "done 1 reused 0 left 2\n", "")
    store = Store.open(tmp_path / "store", create=False)
    stopped = fake_job("b", does="hang once")
    assert store.artifact("fake", stopped.id) is None
    assert store.failure("fake", stopped.id) is None
    resumed = _start(tmp_path / "store", counts, *names)
    assert resumed.communicate(timeout=60)[0] == "done 2 reused 1 left 0\n"
    assert resumed.returncode == 0
    assert ran(counts) == ["a", "b", "b", "c"]
    assert store.record("fake", stopped.id).facts["resumed"] is True


def _everywhere(program, *arguments):
    """What a program beside this one tells of each moment."""
    # In memory where there is such a folder: a killed process loses nothing that reached the kernel, and it is faster.
    shared = Path("/dev/shm")
    parent = shared if os.access(shared, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        command = [sys.executable, str(_HERE / program), folder, *arguments]
        said = subprocess.run(command, capture_output=True, text=True, env=_environment(), timeout=300, check=False)
    assert said.returncode == 0, said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


def test_a_kill_at_any_moment_leaves_no_half_artifact_and_a_resume_finishes():
    *rows, last = _everywhere("kill_everywhere.py")
    assert last["ran"] == ["base", "tuned"]
    assert len(rows) == last["moments"] > 50
    for row in rows:
        assert row["exit_code"] == 0, row
        assert row["resumed"] == [name for name in ("base", "tuned") if name not in row["whole"]], row
        assert set(row["whole"]) <= set(row["began"]), row
        assert (row["left_in_work"], row["artifacts"]) == ([], 2), row
    assert {row["before"] for row in rows} >= {"open", "os.fsync", "os.rename", "os.mkdir", "os.remove", "os.rmdir"}
    assert {len(row["whole"]) for row in rows} == {0, 1, 2}
