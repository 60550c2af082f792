"""What nothing needs is found with its reason, and what a study wants is never among it."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime

import pytest

from fake_steps import fake_job
from tunescope.errors import StoreError
from tunescope.store import Failure, RecordFields, Store
from tunescope.store.garbage import WHY, collect_garbage
from tunescope.store.job_lock import job_held

WHEN = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


def _make(store, job, seconds=2.0):
    work = store.begin(job.kind, job.id)
    (work.out / "a.bin").write_bytes(b"\0" * 500)
    store.commit(
        work,
        RecordFields(
            label=job.label,
            config=job.config.identity(),
            inputs={role: needed.id for role, needed in job.inputs.items()},
            facts={},
            started_at=WHEN,
            duration_s=seconds,
            peak_memory_gib=0.5,
            peak_memory_covers="job",
        ),
    )
    _log(store, job)


def _begin(store, job, num_bytes=100, out=False):
    work = store.begin(job.kind, job.id)
    (work.scratch / "checkpoint").write_bytes(b"\0" * num_bytes)
    if out:
        (work.out / "half").write_bytes(b"\0" * 50)
    else:
        work.out.rmdir()
    _log(store, job)


def _log(store, job):
    path = store.log_file(job.kind, job.id)
    path.parent.mkdir(exist_ok=True)
    path.write_text("line\n")


def _fail(store, job):
    failure = Failure(label=job.label, reason="r", error="X", traceback="T", log="logs/x.log", failed_at=WHEN)
    store.fail(job.kind, job.id, failure)


def _study(store, name, *jobs):
    store.studies.save(name, f"name: {name}\n", [{"kind": job.kind, "id": job.id} for job in jobs], {})


def _found(garbage):
    return {(item.reason, item.path.relative_to(garbage.store).as_posix()) for item in garbage.items}


def _there(store):
    return {str(path.relative_to(store.path)) for path in store.path.rglob("*") if path.is_file()} - {"lock"}


@pytest.fixture
def used(store):
    """A store with one of everything, by name."""
    jobs = {name: fake_job(name) for name in ("kept", "half", "failed", "old", "dropped", "gone", "whole")}
    for name in ("kept", "whole", "old"):
        _make(store, jobs[name])
    _begin(store, jobs["half"], out=True)
    _begin(store, jobs["dropped"], num_bytes=1000)
    _fail(store, jobs["failed"])
    _fail(store, jobs["gone"])
    _log(store, jobs["gone"])
    folder = store.path / "work" / f"fake-{jobs['whole'].id}" / "scratch"
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_bytes(b"\0" * 77)
    _study(store, "one", jobs["kept"], jobs["whole"])
    _study(store, "two", jobs["kept"], jobs["half"], jobs["failed"])
    return jobs


def test_everything_is_named_with_its_reason_and_nothing_is_touched_until_asked(store, used):
    (store.path / "work" / ".trash" / "x").mkdir(parents=True)
    (store.path / "work" / ".trash" / "x" / "weights").write_bytes(b"\0" * 10)
    temporary = [".tmp-live.json-1", "failures/.tmp-x-2", "studies/one/optuna.db.new", "studies/one/.tmp-plan.json-3"]
    for name in temporary:
        (store.path / name).write_text("x")
    half = f"work/fake-{used['half'].id}"
    (store.path / half / "scratch" / "checkpoint.safetensors.tmp").write_text("x")
    before = _there(store)
    found = collect_garbage(store)
    assert not found.is_deleted
    assert _found(found) == {
        ("trash", "work/.trash/x"),
        *(("temporary", name) for name in temporary),
        ("temporary", f"{half}/scratch/checkpoint.safetensors.tmp"),
        ("finished", f"work/fake-{used['whole'].id}"),
        ("half-made", f"{half}/out"),
        ("unwanted checkpoint", f"work/fake-{used['dropped'].id}"),
        ("forgotten", f"logs/fake-{used['dropped'].id}.log"),
        ("forgotten", f"logs/fake-{used['gone'].id}.log"),
        ("forgotten", f"failures/fake-{used['gone'].id}.json"),
    }
    sizes = {item.reason: item.num_bytes for item in found.items}
    assert (sizes["trash"], sizes["finished"], sizes["half-made"], sizes["unwanted checkpoint"]) == (10, 77, 50, 1000)
    assert [(item.what, item.made_in_s) for item in found.kept] == [(f"old (fake/{used['old'].id[:8]})", 2.0)]
    assert _there(store) == before
    assert {item.reason for item in found.items} <= WHY.keys()


def test_what_was_shown_is_deleted_and_the_rest_is_as_it_was(store, used):
    (store.path / "work" / ".trash" / "x").mkdir(parents=True)
    shown = collect_garbage(store)
    freed = collect_garbage(store, delete=True)
    assert freed.is_deleted
    assert _found(freed) == _found(shown)
    assert freed.num_bytes == shown.num_bytes
    for name in ("kept", "whole", "old"):
        store.verify("fake", used[name].id)
    assert (store.begin("fake", used["half"].id).scratch / "checkpoint").exists(), "its next try goes on"
    assert store.failure("fake", used["failed"].id) is not None
    again = collect_garbage(store)
    assert {reason for reason, _ in _found(again)} == {"half-made"}, "what was begun just now"


def test_unwanted_artifacts_go_only_when_asked_for(store, used):
    collect_garbage(store, delete=True)
    assert store.artifact("fake", used["old"].id) is not None
    freed = collect_garbage(store, delete=True, unwanted=True)
    assert {item.reason for item in freed.items} == {"unwanted", "forgotten"}, "its log with it"
    assert freed.kept == ()
    assert store.artifact("fake", used["old"].id) is None
    for name in ("kept", "whole"):
        store.verify("fake", used[name].id)


@pytest.mark.parametrize("plan", [None, [], {"jobs": []}, [{"kind": "fake"}]])
def test_where_a_study_does_not_tell_its_jobs_nothing_counts_as_unwanted(store, used, plan):
    store.studies.save("old", "name: old\n", plan, {})
    found = collect_garbage(store, unwanted=True)
    assert {item.reason for item in found.items} <= {"finished", "half-made"}
    assert found.kept == ()
    assert any("study old does not tell its jobs" in note for note in found.notes)


def test_a_store_without_studies_keeps_what_is_whole(store):
    _make(store, fake_job("one"))
    _begin(store, fake_job("two"))
    found = collect_garbage(store, delete=True, unwanted=True)
    assert found.items == ()
    assert any("no study has run in this store" in note for note in found.notes)
    assert store.artifact("fake", fake_job("one").id) is not None


def test_what_is_not_whole_is_named_and_stays(store):
    job = fake_job("torn")
    _make(store, job)
    (store.path / "artifacts" / "fake" / job.id / "a.bin").write_bytes(b"x")
    _study(store, "s", fake_job("other"))
    found = collect_garbage(store, delete=True, unwanted=True)
    assert found.items == ()
    assert any("is not whole" in note and "tunescope forget" in note for note in found.notes)
    assert (store.path / "artifacts" / "fake" / job.id / "record.json").exists()


def test_a_run_on_the_store_keeps_gc_out(store, used):
    other = Store.open(store.path, create=False)
    with other.lock():
        assert collect_garbage(store).items, "looking does no harm"
        with pytest.raises(StoreError, match="is in use"):
            collect_garbage(store, delete=True)
    store.verify("fake", used["kept"].id)


def test_what_a_run_under_way_works_on_is_not_called_cut_off(store, used):
    with Store.open(store.path, create=False).lock():
        found = collect_garbage(store)
    assert not {item.reason for item in found.items} & {"half-made", "finished", "temporary", "unwanted checkpoint"}
    assert any("a run is under way" in note for note in found.notes)
    after = collect_garbage(store)
    assert {"half-made", "finished", "unwanted checkpoint"} <= {item.reason for item in after.items}
    assert not any("under way" in note for note in after.notes)


def test_a_job_that_a_process_still_holds_is_left_alone(store, used):
    with job_held(store, "fake", used["dropped"].id):
        descriptor = os.open(store.path / "work" / f".busy-fake-{used['dropped'].id}", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(descriptor)
        found = collect_garbage(store, delete=True)
        assert not any(
            "dropped" in item.what or used["dropped"].id in str(item.path)
            for item in found.items
            if item.reason != "forgotten"
        )
        assert any("still works on fake-" in note for note in found.notes)
        assert (store.path / "work" / f"fake-{used['dropped'].id}" / "scratch" / "checkpoint").exists()
    left = store.path / "work" / f".busy-fake-{used['half'].id}"
    left.write_text("")
    assert ("temporary", left.relative_to(store.path).as_posix()) in _found(collect_garbage(store))


def test_links_are_deleted_and_not_followed(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x" * 100)
    _study(store, "s", fake_job("one"))
    (store.path / ".tmp-link").symlink_to(outside)
    work = store.begin("fake", fake_job("two").id)
    (work.scratch / "link").symlink_to(outside)
    freed = collect_garbage(store, delete=True)
    assert freed.num_bytes < 100 + len(str(outside))
    assert (outside / "precious").exists()
    assert not (store.path / ".tmp-link").is_symlink()
