"""Stores of machines that could not see each other become one: verified, without changing them, all or nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from fake_steps import FakeConfig, fake_job
from tunescope.errors import StoreError
from tunescope.store import Failure, RecordFields, Store
from tunescope.store.history import RunLine, append_run, read_runs
from tunescope.store.merging.merge import merge_stores

WHEN = datetime(2026, 11, 23, 6, tzinfo=UTC)
PLAN = [{"kind": "fake", "id": "0" * 16}]


class ReadAnew(FakeConfig):
    """Made by every machine that needs it."""

    kind = "fake_read"


@pytest.fixture
def stores(tmp_path):
    return [Store.open(tmp_path / name, create=True) for name in "abc"]


def _make(store, job, text="hello", **facts):
    work = store.begin(job.kind, job.id)
    (work.out / "sub").mkdir()
    (work.out / "sub" / "a.txt").write_text(text)
    (work.out / "b.bin").write_bytes(b"\0" * 3000)
    return store.commit(
        work,
        RecordFields(
            label=job.label,
            config=job.config.identity(),
            inputs={role: needed.id for role, needed in job.inputs.items()},
            facts=facts,
            started_at=WHEN,
            duration_s=1.5,
            peak_memory_gib=0.5,
            peak_memory_covers="job",
        ),
    )


def _fail(store, job, minutes=0):
    when = WHEN + timedelta(minutes=minutes)
    store.fail(
        job.kind,
        job.id,
        Failure(label=job.label, reason=f"after {minutes}", error="X", traceback="T", log="logs/x.log", failed_at=when),
    )


def _line(minutes, shard=None):
    return RunLine(
        started_at=WHEN + timedelta(minutes=minutes),
        ended_at=WHEN + timedelta(minutes=minutes + 1),
        duration_s=60.0,
        executor="local",
        num_workers=1,
        shard=shard,
        predicted_makespan_s=None,
        job_seconds=1.0,
        done=1,
        reused=0,
        failed=0,
        blocked=0,
        left=0,
        retried=0,
        interrupted=False,
        host="h",
        tunescope="0",
    )


def _content(store):
    """Every file of a store with its bytes and time of change."""
    return {
        str(path.relative_to(store.path)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(store.path.rglob("*"))
        if path.is_file()
    }


def _paths(stores):
    return [store.path for store in stores]


def test_the_artifacts_of_all_are_in_one_and_nothing_of_them_has_changed(stores, tmp_path):
    jobs = [fake_job(name) for name in ("one", "two", "three")]
    for store, job in zip(stores, jobs, strict=True):
        _make(store, job)
    _make(stores[2], jobs[0])
    before = [_content(store) for store in stores]
    merged = merge_stores(_paths(stores), tmp_path / "new" / "all")
    assert (merged.num_copied, merged.num_there, merged.preferred, merged.left_out) == (3, 0, (), ())
    assert merged.bytes_copied == sum(
        path.stat().st_size for path in (tmp_path / "new" / "all" / "artifacts").rglob("*") if path.is_file()
    )
    assert [_content(store) for store in stores] == before
    there = Store.open(tmp_path / "new" / "all", create=False)
    for job in jobs:
        there.verify(job.kind, job.id)
    assert there.record("fake", jobs[1].id) == stores[1].record("fake", jobs[1].id)
    again = _content(there)
    merged = merge_stores(_paths(stores), there.path)
    assert (merged.num_copied, merged.num_there, merged.bytes_copied) == (0, 3, 0)
    assert {name: found for name, found in _content(there).items() if name != "lock"} == {
        name: found for name, found in again.items() if name != "lock"
    }


def test_a_store_that_is_there_is_added_to(stores):
    one, two = fake_job("one"), fake_job("two")
    _make(stores[0], one)
    _make(stores[1], two)
    _fail(stores[0], two)
    merged = merge_stores([stores[0].path, stores[1].path], stores[0].path)
    assert (merged.num_copied, merged.num_there) == (1, 1)
    assert stores[0].failure("fake", two.id) is None, "somebody has done it"


def test_what_cannot_be_merged_is_said(stores, tmp_path):
    a = stores[0].path
    for sources, into, said in (
        ([a], a, "expected one or more stores besides"),
        ([a, a], a, "expected one or more stores besides"),
        ([a], a / "inner", "lies in the store"),
        ([tmp_path / "absent"], tmp_path / "d", "there is no store at"),
    ):
        with pytest.raises(StoreError, match=said):
            merge_stores(sources, into)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("")
    with pytest.raises(StoreError, match="is not a tunescope store"):
        merge_stores([a], tmp_path / "mine")
    with pytest.raises(StoreError, match=r"--prefer .*c is none of the stores"):
        merge_stores([a], tmp_path / "d", prefer=stores[2].path)
    assert not (tmp_path / "d").exists()


def test_different_files_of_one_job_are_refused_all_at_once(stores, tmp_path):
    one, two, fine = fake_job("one"), fake_job("two"), fake_job("fine")
    for store, text in zip(stores[:2], ("hello", "other"), strict=True):
        _make(store, one, text)
        _make(store, two, text)
        _make(store, fine)
    with pytest.raises(StoreError) as raised:
        merge_stores(_paths(stores), tmp_path / "all")
    said = str(raised.value)
    assert f"fake/{one.id[:8]} (one) was made more than once" in said
    assert f"fake/{two.id[:8]} (two) was made more than once" in said
    assert "holds other bytes in sub/a.txt than that of" in said
    assert "fine" not in said
    assert "Nothing was copied. Or take one store's copy of all that differs: --prefer STORE." in said
    assert not (tmp_path / "all").exists()


def test_other_data_behind_the_same_files_is_a_conflict_too(stores, tmp_path):
    job = fake_job("one")
    _make(stores[0], job, data_fingerprint="x", seconds=1)
    _make(stores[1], job, data_fingerprint="y", seconds=2)
    with pytest.raises(StoreError, match=r"was made from other bytes \(data_fingerprint\)"):
        merge_stores(_paths(stores), tmp_path / "all")


def test_the_preferred_stores_copy_is_taken_and_what_was_made_from_the_other_is_left_out(stores, tmp_path):
    tuned = fake_job("tuned")
    scored, alone = fake_job("scored", tuned), fake_job("alone")
    of_scored = fake_job("of scored", scored)
    _make(stores[0], tuned, "first")
    _make(stores[1], tuned, "second")
    for job in (scored, of_scored, alone):
        _make(stores[1], job)
    merged = merge_stores(_paths(stores), tmp_path / "all", prefer=stores[0].path)
    assert merged.preferred == (f"fake/{tuned.id[:8]}",)
    assert set(merged.left_out) == {f"fake/{scored.id[:8]}", f"fake/{of_scored.id[:8]}"}
    there = Store.open(tmp_path / "all", create=False)
    assert (there.path / "artifacts" / "fake" / tuned.id / "sub" / "a.txt").read_text() == "first"
    assert there.artifact("fake", alone.id) is not None
    assert there.artifact("fake", scored.id) is None
    merged = merge_stores(_paths(stores), tmp_path / "all2", prefer=stores[1].path)
    assert (merged.num_copied, merged.left_out) == (4, ())


def test_a_preferred_copy_replaces_the_destinations_but_not_under_what_was_made_from_it(stores):
    tuned = fake_job("tuned")
    _make(stores[0], tuned, "mine")
    _make(stores[1], tuned, "theirs")
    merged = merge_stores([stores[1].path], stores[0].path, prefer=stores[1].path)
    assert merged.num_copied == 1
    assert (stores[0].path / "artifacts" / "fake" / tuned.id / "sub" / "a.txt").read_text() == "theirs"
    scored = fake_job("scored", tuned)
    _make(stores[0], scored)
    shutil.rmtree(stores[1].path / "artifacts")
    _make(stores[1], tuned, "newer")
    with pytest.raises(StoreError, match=f"Forget them first.*tunescope forget fake/{scored.id[:8]} --store"):
        merge_stores([stores[1].path], stores[0].path, prefer=stores[1].path)
    stores[0].verify("fake", tuned.id)


def test_what_each_machine_makes_may_differ_where_it_was_made_from_the_same_bytes(stores, tmp_path):
    base = fake_job("base", kind=ReadAnew)
    made_from_it = [fake_job("x", base), fake_job("y", base)]
    for store, text, job in zip(stores[:2], ("1.0", "1.0000001"), made_from_it, strict=True):
        _make(store, base, text, model_fingerprint="m")
        _make(store, job)
    with pytest.raises(StoreError, match="was made more than once"):
        merge_stores(_paths(stores), tmp_path / "all")
    merged = merge_stores(_paths(stores), tmp_path / "all", may_differ={"fake_read"})
    assert merged.differing == (f"fake_read/{base.id[:8]}",)
    assert (merged.num_copied, merged.left_out) == (3, ())
    shutil.rmtree(stores[1].path / "artifacts" / "fake_read")
    _make(stores[1], base, "1.0000001", model_fingerprint="another")
    with pytest.raises(StoreError, match=r"made from other bytes \(model_fingerprint\)"):
        merge_stores(_paths(stores), tmp_path / "all2", may_differ={"fake_read"})


def test_what_was_damaged_in_the_destination_is_named_and_nothing_is_copied(stores, tmp_path):
    there, new = fake_job("there"), fake_job("new")
    _make(stores[0], there)
    merge_stores([stores[0].path], tmp_path / "all")
    (tmp_path / "all" / "artifacts" / "fake" / there.id / "b.bin").write_bytes(b"\1" * 3000)
    _make(stores[1], new)
    with pytest.raises(
        StoreError, match=f"artifact fake/{there.id[:8]} .*b.bin holds other bytes.*\nNothing was copied"
    ):
        merge_stores([stores[1].path], tmp_path / "all")
    assert Store.open(tmp_path / "all", create=False).artifact("fake", new.id) is None


@pytest.mark.parametrize("harm", ["bit", "cut", "gone", "more", "record", "link"])
def test_a_damaged_source_is_named_and_nothing_is_copied(stores, tmp_path, harm):
    good, bad = fake_job("good"), fake_job("bad")
    _make(stores[0], good)
    folder = _make(stores[1], bad)
    file = folder / "sub" / "a.txt"
    if harm == "bit":
        file.write_text("hellp")
    elif harm == "cut":
        file.write_text("hel")
    elif harm == "gone":
        file.unlink()
    elif harm == "more":
        (folder / "more.txt").write_text("x")
    elif harm == "link":
        file.unlink()
        file.symlink_to("/etc/hostname")
    else:
        record = folder / "record.json"
        record.write_text(record.read_text().replace('"bad"', '"worse"'))
    with pytest.raises(StoreError, match=f"artifact fake/{bad.id[:8]} .*is not whole") as raised:
        merge_stores(_paths(stores), tmp_path / "all")
    assert "Nothing was copied." in str(raised.value)
    assert not list((tmp_path / "all").glob("artifacts/*/*"))
    assert not list((tmp_path / "all").glob("work/.trash/*"))


def test_a_store_in_use_is_refused_and_a_run_is_kept_out_meanwhile(stores, tmp_path, monkeypatch):
    _make(stores[0], fake_job("one"))
    for store in (stores[0], stores[1]):
        with store.lock(), pytest.raises(StoreError, match="is in use"):
            merge_stores([stores[0].path], stores[1].path)
    tried = []

    def copy(*words):
        descriptor = os.open(stores[0].path / "lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        tried.append(words)
        return 0

    monkeypatch.setattr("tunescope.store.merging.merge.copy_artifact", copy)
    monkeypatch.setattr(Store, "adopt", lambda *words: None)
    merge_stores([stores[0].path], tmp_path / "all")
    assert len(tried) == 1


def test_too_little_room_is_said_before_anything_is_copied(stores, tmp_path, monkeypatch):
    _make(stores[0], fake_job("one"))
    monkeypatch.setattr(
        "tunescope.store.merging.merge.shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1)
    )
    with pytest.raises(StoreError, match=r"are to be copied to .*, and 0.00 GiB are free there. Nothing was copied"):
        merge_stores([stores[0].path], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_a_merge_that_was_cut_off_goes_on(stores, tmp_path, monkeypatch):
    jobs = [fake_job(name) for name in ("one", "two", "three")]
    for job in jobs:
        _make(stores[0], job)
    real = Store.adopt
    adopted = []

    def adopt(self, folder, kind, id):
        if len(adopted) == 1:
            raise KeyboardInterrupt
        adopted.append(id)
        real(self, folder, kind, id)

    monkeypatch.setattr(Store, "adopt", adopt)
    with pytest.raises(KeyboardInterrupt):
        merge_stores([stores[0].path], tmp_path / "all")
    monkeypatch.undo()
    merged = merge_stores([stores[0].path], tmp_path / "all")
    assert (merged.num_copied, merged.num_there) == (2, 1)
    there = Store.open(tmp_path / "all", create=False)
    for job in jobs:
        there.verify(job.kind, job.id)


def test_studies_are_brought_together_with_their_history(stores, tmp_path):
    for number, store in enumerate(stores):
        store.studies.save("s", "name: s\n", PLAN, {"decoders": {}})
        append_run(store.layout.runs("s"), _line(number, f"{number + 1}/3"))
        append_run(store.layout.runs("s"), _line(9))
    stores[1].studies.save("other", "name: other\n", PLAN, {})
    merged = merge_stores(_paths(stores), tmp_path / "all")
    assert (merged.studies, merged.num_runs) == (("other", "s"), 4)
    there = Store.open(tmp_path / "all", create=False)
    assert there.studies.names() == ["other", "s"]
    assert there.studies.plan("s") == PLAN
    assert there.studies.known("s") == {"decoders": {}}
    assert there.studies.file("s").read_text() == "name: s\n"
    assert [line.shard for line in read_runs(there.layout.runs("s"))[0]] == ["1/3", "2/3", "3/3", None]
    assert merge_stores(_paths(stores), tmp_path / "all").num_runs == 0
    append_run(there.layout.runs("s"), _line(5))
    append_run(stores[0].layout.runs("s"), _line(6))
    assert merge_stores(_paths(stores), tmp_path / "all").num_runs == 1
    assert len(read_runs(there.layout.runs("s"))[0]) == 6


@pytest.mark.parametrize(
    "text, plan, known, said",
    [
        ("name: s # other\n", PLAN, {}, r"study.yaml"),
        ("name: s\n", [*PLAN, *PLAN], {}, r"plan.json"),
        ("name: s\n", PLAN, {"decoders": {"m": True}}, r"known.json"),
    ],
)
def test_a_study_that_two_stores_tell_differently_is_refused_or_the_preferred_ones(
    stores, tmp_path, text, plan, known, said
):
    stores[0].studies.save("s", "name: s\n", PLAN, {})
    stores[1].studies.save("s", text, plan, known)
    _make(stores[0], fake_job("one"))
    with pytest.raises(StoreError, match=f"study s: .*a and .*b differ in .*{said}"):
        merge_stores(_paths(stores), tmp_path / "all")
    assert not (tmp_path / "all").exists()
    merge_stores(_paths(stores), tmp_path / "all", prefer=stores[1].path)
    there = Store.open(tmp_path / "all", create=False)
    assert (there.studies.file("s").read_text(), there.studies.plan("s"), there.studies.known("s")) == (
        text,
        plan,
        known,
    )


def test_failures_stay_only_where_nobody_has_done_the_job_and_the_last_one_counts(stores, tmp_path):
    done, failed = fake_job("done"), fake_job("failed")
    _fail(stores[0], done)
    _make(stores[1], done)
    _fail(stores[0], failed, minutes=5)
    _fail(stores[1], failed, minutes=3)
    merged = merge_stores(_paths(stores), tmp_path / "all")
    there = Store.open(tmp_path / "all", create=False)
    assert merged.num_failures == 1
    assert there.failure("fake", done.id) is None
    assert there.failure("fake", failed.id).reason == "after 5"
    assert merge_stores(_paths(stores), tmp_path / "all").num_failures == 0


def test_checkpoints_of_unfinished_jobs_are_carried_over_the_newest_of_each(stores, tmp_path):
    half, done = fake_job("half"), fake_job("done")
    for store, text, when in zip(stores, ("old", "new", "older"), (100, 200, 50), strict=True):
        work = store.begin(half.kind, half.id)
        (work.scratch / "sub").mkdir()
        (work.scratch / "sub" / "checkpoint").write_text(text)
        (work.out / "half-made").write_text("x")
        os.utime(work.scratch / "sub" / "checkpoint", (when, when))
    work = stores[0].begin(done.kind, done.id)
    (work.scratch / "checkpoint").write_text("x")
    _make(stores[1], done)
    merged = merge_stores(_paths(stores), tmp_path / "all")
    assert merged.checkpoints == (f"fake/{half.id[:8]}",)
    there = Store.open(tmp_path / "all", create=True)
    assert not (there.path / "work" / f"fake-{done.id}").exists(), "somebody has done it"
    work = there.begin(half.kind, half.id)
    assert (work.scratch / "sub" / "checkpoint").read_text() == "new"
    assert not list(work.out.iterdir())
    assert merge_stores(_paths(stores), tmp_path / "all").checkpoints == (), "its own is as new"
    os.utime(stores[2].path / "work" / f"fake-{half.id}" / "scratch" / "sub" / "checkpoint", (300, 300))
    merge_stores(_paths(stores), tmp_path / "all")
    assert (work.scratch / "sub" / "checkpoint").read_text() == "older", "it has gone on there since"
