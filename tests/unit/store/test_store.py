"""Begin, commit, find again, fail, forget. What goes wrong with disks and processes stands in tests/fault."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import pytest

from fake_steps import FakeConfig, fake_job
from tunescope.errors import StoreError
from tunescope.store import Failure, RecordFields, Store
from tunescope.store.provenance import this_machine


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


def _fields(job, **changes):
    fields = {
        "label": job.label,
        "config": job.config.model_dump(mode="json"),
        "inputs": {role: needed.id for role, needed in job.inputs.items()},
        "facts": {"loss": 0.25, "seen": ["a"]},
        "started_at": datetime(2026, 11, 23, 6, tzinfo=UTC),
        "duration_s": 1.5,
        "peak_memory_gib": 0.5,
        "peak_memory_covers": "job",
    }
    return RecordFields(**(fields | changes))


def _make(store, job, text="hello"):
    work = store.begin(job.kind, job.id)
    (work.scratch / "checkpoint").write_text("x")
    (work.out / "sub").mkdir()
    (work.out / "sub" / "a.txt").write_text(text)
    return store.commit(work, _fields(job))


def _failure(job):
    when = datetime(2026, 11, 23, tzinfo=UTC)
    return Failure(label=job.label, reason="why", error="X", traceback="T", log="logs/x.log", failed_at=when)


def test_what_is_committed_is_found_again_with_its_record(store):
    job = fake_job("a")
    assert store.artifact(job.kind, job.id) is None
    folder = _make(store, job)
    assert folder == store.path / "artifacts" / "fake" / job.id
    assert sorted(os.listdir(folder)) == ["record.json", "sub"]
    again = Store.open(store.path, create=False)
    assert again.artifact(job.kind, job.id) == folder
    again.verify(job.kind, job.id)
    record = again.record(job.kind, job.id)
    assert record.id == job.id
    assert record.config == FakeConfig(name="a").model_dump(mode="json")
    assert list(record.files) == ["sub/a.txt"]
    assert record.files["sub/a.txt"].num_bytes == 5
    assert record.facts == {"loss": 0.25, "seen": ["a"]}
    assert record.machine == this_machine()


def test_no_environment_variable_reaches_a_record(store, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-value")
    folder = _make(store, fake_job("a"))
    assert "s3cr3t-value" not in (folder / "record.json").read_text()


def test_commit_clears_the_work_folder_and_an_earlier_failure(store):
    job = fake_job("a")
    store.fail(job.kind, job.id, _failure(job))
    assert store.failure(job.kind, job.id) == _failure(job)
    (store.path / "work").mkdir()
    store.layout.busy(job.kind, job.id).touch()  # of a worker that was killed while it held the job
    _make(store, job)
    assert store.failure(job.kind, job.id) is None
    assert os.listdir(store.path / "work") == [".trash"]
    assert os.listdir(store.path / "work" / ".trash") == []


def test_begin_keeps_scratch_and_clears_a_stale_output(store):
    job = fake_job("a")
    work = store.begin(job.kind, job.id)
    (work.scratch / "checkpoint").write_text("step 7")
    (work.out / "half.bin").write_text("x")
    again = store.begin(job.kind, job.id)
    assert again == work
    assert (again.scratch / "checkpoint").read_text() == "step 7"
    assert os.listdir(again.out) == []


def test_the_first_of_two_artifacts_stays(store):
    job = fake_job("a")
    _make(store, job, "first")
    folder = _make(store, job, "second")
    assert (folder / "sub" / "a.txt").read_text() == "first"


def test_an_artifact_made_by_another_process_during_the_commit_stays(store, monkeypatch):
    job = fake_job("a")
    rename = os.rename
    other = Store.open(store.path, create=False)

    def rename_too_late(source, target):
        if str(target).endswith(job.id):
            monkeypatch.setattr(os, "rename", rename)
            kept = os.path.dirname(source) + "-mine"
            rename(os.path.dirname(source), kept)
            _make(other, job, "other")
            os.makedirs(os.path.dirname(source))
            rename(os.path.join(kept, "out"), source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_too_late)
    folder = _make(store, job, "mine")
    assert (folder / "sub" / "a.txt").read_text() == "other"
    store.verify(job.kind, job.id)


def test_facts_that_are_no_json_are_refused_with_their_place(store):
    job = fake_job("a")
    work = store.begin(job.kind, job.id)
    with pytest.raises(StoreError, match=r"^facts\.scores\.f1: nan cannot be kept"):
        store.commit(work, _fields(job, facts={"scores": {"f1": float("nan")}}))
    assert store.artifact(job.kind, job.id) is None


def test_a_commit_under_the_wrong_id_is_our_own_fault(store):
    job = fake_job("a")
    work = store.begin(job.kind, job.id)
    with pytest.raises(AssertionError, match="is committed with what makes it"):
        store.commit(work, _fields(fake_job("b")))


def test_records_are_sorted_and_can_be_of_one_kind(store):
    jobs = [fake_job(name) for name in "abc"]
    for job in jobs:
        _make(store, job)
    assert [record.id for record in store.records()] == sorted(job.id for job in jobs)
    assert len(list(store.records("fake"))) == 3
    assert list(store.records("train")) == []


def test_record_of_an_absent_artifact_says_so(store):
    with pytest.raises(StoreError, match="there is no artifact fake/00000000 in"):
        store.record("fake", "0" * 16)


def test_forget_deletes_all_that_a_job_left(store):
    kept, gone = fake_job("kept"), fake_job("gone")
    _make(store, kept)
    _make(store, gone)
    store.begin(gone.kind, gone.id)
    store.fail(gone.kind, gone.id, _failure(gone))
    log = store.log_file(gone.kind, gone.id)
    log.parent.mkdir()
    log.write_text("x")
    assert store.forget(gone.id[:8]) == [f"fake/{gone.id}"]
    assert store.artifact(gone.kind, gone.id) is None
    assert store.failure(gone.kind, gone.id) is None
    assert not log.exists()
    assert not [name for name in os.listdir(store.path / "work") if gone.id in name]
    assert store.artifact(kept.kind, kept.id) is not None


def test_forget_takes_the_form_that_status_prints(store):
    job = fake_job("a")
    _make(store, job)
    with pytest.raises(StoreError, match=r"no job of .* has an id that starts so"):
        store.forget(f"other/{job.id[:8]}")
    assert store.forget(f"fake/{job.id[:8]}") == [f"fake/{job.id}"]


@pytest.mark.parametrize("prefix", ["", "abc", "ABCDEF", "../../..", "12345g", "/12345", "fake/", "fake/abc"])
def test_forget_wants_four_hex_digits(store, prefix):
    with pytest.raises(StoreError, match="expected the first 4 or more hex digits"):
        store.forget(prefix)


def test_forget_tells_what_there_is(store):
    job = fake_job("a")
    _make(store, job)
    absent = "0000" if not job.id.startswith("0000") else "1111"
    with pytest.raises(StoreError, match=f"no job of .* It holds 1: fake/{job.id[:8]}"):
        store.forget(absent)


def test_forget_of_several_names_them_and_deletes_none(store):
    ids = ["abcd" + "0" * 12, "abcd" + "1" * 12]
    for id in ids:
        store.begin("fake", id)
    with pytest.raises(StoreError, match=f"2 jobs .*fake/{ids[0]}, fake/{ids[1]}. Give more digits"):
        store.forget("abcd")
    assert store.forget("abcd0") == [f"fake/{ids[0]}"]
    assert (store.path / "work" / f"fake-{ids[1]}").is_dir()


def test_a_study_and_its_plan_are_kept(store):
    assert store.studies.plan("demo") is None
    store.studies.save("demo", "name: demo\n", {"jobs": [1]}, {})
    store.studies.save("demo", "name: demo # 2\n", {"jobs": [1, 2]}, {})
    assert store.studies.plan("demo") == {"jobs": [1, 2]}
    assert (store.path / "studies" / "demo" / "study.yaml").read_text() == "name: demo # 2\n"


@pytest.mark.parametrize("name", ["../x", "a/b", ".."])
def test_a_study_name_cannot_leave_the_store(store, name):
    with pytest.raises(StoreError, match="cannot be a folder's name"):
        store.studies.save(name, "", {}, {})
    with pytest.raises(StoreError, match="cannot be a folder's name"):
        store.studies.plan(name)


def test_the_lock_may_be_nested_and_sweeps_the_trash(store):
    (store.path / "work" / ".trash" / "half").mkdir(parents=True)
    with store.lock(), store.lock():
        assert not (store.path / "work" / ".trash").exists()
        with pytest.raises(StoreError, match="is in use"), Store.open(store.path, create=True).lock():
            pass
    with Store.open(store.path, create=True).lock():
        assert (store.path / "lock").stat().st_size > 0


def test_free_space_is_what_the_disk_says(store):
    found = os.statvfs(store.path)
    assert store.free_gib() == pytest.approx(found.f_bavail * found.f_frsize / 2**30, rel=0.05)


def test_finding_what_is_whole_is_fast(store):
    job = fake_job("a")
    _make(store, job)
    started = time.perf_counter()
    for _ in range(1000):
        store.artifact(job.kind, job.id)
    assert time.perf_counter() - started < 2.0  # takes 0.2 s, so that 10,000 jobs are looked up in 2 s
