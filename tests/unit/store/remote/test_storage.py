"""A store on object storage (here: file://): what is sent is whole, what is fetched is compared, checkpoints follow a job."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime

import pytest

from fake_steps import fake_job, fake_training, inline
from tunescope.errors import StoreError
from tunescope.execution import run_plan
from tunescope.store import Failure, Store
from tunescope.store.remote.lease import Pace
from tunescope.store.remote.objects import Objects
from tunescope.store.remote.scratch_watch import ScratchWatch
from tunescope.store.remote.storage import RemoteStore, cache_folder, is_url
from tunescope.store.remote.working_copy import reading_copy, working_copy

FAST = Pace(renew_s=0.05, stale_s=0.5, settle_s=0.05)
JOB, TRAINING = fake_job("a"), fake_training("t")


@pytest.fixture
def there(tmp_path):
    """Where the objects lie."""
    return tmp_path / "bucket" / "study"


@pytest.fixture
def remote(there):
    return RemoteStore.open(f"file://{there}", create=True)


@pytest.fixture
def stores(tmp_path):
    """The stores of two machines."""
    return [Store.open(tmp_path / name, create=True) for name in ("one", "two")]


@pytest.fixture
def made(tmp_path, stores):
    """The first machine's store, with the artifact of JOB."""
    assert run_plan([JOB], stores[0], inline(stores[0], tmp_path / "ran")).exit_code == 0
    return stores[0]


def _tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _checkpoint(store, **files):
    scratch = store.path / "work" / f"{TRAINING.kind}-{TRAINING.id}" / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (scratch / f"{name}.tmp").write_text(text, encoding="utf-8")
        (scratch / f"{name}.tmp").replace(scratch / name)
    return scratch


def test_an_artifact_goes_out_and_comes_in_bit_for_bit(remote, made, stores, there):
    assert not remote.has(JOB.kind, JOB.id)
    remote.push(made, JOB.kind, JOB.id)
    assert remote.has(JOB.kind, JOB.id)
    assert remote.pull(stores[1], JOB.kind, JOB.id)
    stores[1].verify(JOB.kind, JOB.id)
    folder = f"artifacts/{JOB.kind}/{JOB.id}"
    assert _tree(stores[1].path / folder) == _tree(made.path / folder) == _tree(there / folder)
    assert list((stores[1].path / "work").iterdir()) == []


def test_an_artifact_that_is_not_there_is_not_pulled(remote, stores):
    assert not remote.pull(stores[1], JOB.kind, JOB.id)
    assert stores[1].artifact(JOB.kind, JOB.id) is None


def test_an_upload_that_was_cut_off_leaves_no_artifact_and_is_finished_by_the_next(
    remote, made, stores, there, monkeypatch
):
    sent = []

    def cut_off(self, local, path, entry):
        if sent:
            raise StoreError("the network is gone")
        sent.append(path)
        real(self, local, path, entry)

    real = Objects.send
    with monkeypatch.context() as patched:
        patched.setattr(Objects, "send", cut_off)
        with pytest.raises(StoreError, match="the network is gone"):
            remote.push(made, JOB.kind, JOB.id)
    assert len(list((there / "artifacts").rglob("*.txt"))) == 1
    assert not remote.has(JOB.kind, JOB.id)
    assert not remote.pull(stores[1], JOB.kind, JOB.id)
    remote.push(made, JOB.kind, JOB.id)
    assert remote.pull(stores[1], JOB.kind, JOB.id)


def test_bytes_that_arrive_changed_are_sent_once_more_and_then_told(remote, made, monkeypatch):
    puts = []

    def torn(local, at, **more):
        puts.append(at)
        shutil.copyfile(local, at)
        with open(at, "r+b") as file:
            file.write(b"?")

    monkeypatch.setattr(remote._objects._fs, "put_file", torn)
    with pytest.raises(StoreError, match="holds other bytes than were sent, twice"):
        remote.push(made, JOB.kind, JOB.id)
    assert len(puts) == 2
    assert not remote.has(JOB.kind, JOB.id)


def test_a_flipped_bit_is_found_before_anything_is_renamed_into_place(remote, made, stores, there):
    remote.push(made, JOB.kind, JOB.id)
    file = there / "artifacts" / JOB.kind / JOB.id / "sub" / "file1.txt"
    content = bytearray(file.read_bytes())
    content[3] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"sub/file1\.txt holds other bytes than were written"):
        remote.pull(stores[1], JOB.kind, JOB.id)
    assert stores[1].artifact(JOB.kind, JOB.id) is None
    assert list((stores[1].path / "work").iterdir()) == []


def test_a_file_that_is_missing_and_a_torn_record_are_named(remote, made, stores, there):
    remote.push(made, JOB.kind, JOB.id)
    folder = there / "artifacts" / JOB.kind / JOB.id
    (folder / "file0.txt").unlink()
    with pytest.raises(StoreError, match=r"is not whole: file0\.txt is missing"):
        remote.pull(stores[1], JOB.kind, JOB.id)
    record = (folder / "record.json").read_bytes()
    (folder / "record.json").write_bytes(record[: len(record) // 2])
    with pytest.raises(StoreError, match=r"record\.json is torn"):
        remote.pull(stores[1], JOB.kind, JOB.id)


def test_a_record_that_names_files_outside_is_refused(remote, made, stores, there):
    remote.push(made, JOB.kind, JOB.id)
    file = there / "artifacts" / JOB.kind / JOB.id / "record.json"
    record = json.loads(file.read_text())
    record["files"]["../../escaped"] = record["files"]["file0.txt"]
    file.write_text(json.dumps(record))
    with pytest.raises(StoreError, match=r"record\.json is torn"):
        remote.pull(stores[1], JOB.kind, JOB.id)


def test_checkpoints_come_to_the_next_machine_and_the_newer_of_one_machine_stay(remote, stores):
    one, two = stores
    _checkpoint(one, checkpoint="step 10", log="10 lines")
    remote.push_scratch(one, TRAINING.kind, TRAINING.id)
    _checkpoint(one, checkpoint="step 12")  # not sent
    assert not remote.pull_scratch(one, TRAINING.kind, TRAINING.id)
    assert _tree(_checkpoint(one)) == {"checkpoint": b"step 12", "log": b"10 lines"}
    _checkpoint(two, checkpoint="step 3", older="left from the day before")
    assert remote.pull_scratch(two, TRAINING.kind, TRAINING.id)
    assert _tree(_checkpoint(two)) == {"checkpoint": b"step 10", "log": b"10 lines"}
    _checkpoint(two, checkpoint="step 20")
    remote.push_scratch(two, TRAINING.kind, TRAINING.id)
    assert remote.pull_scratch(one, TRAINING.kind, TRAINING.id)
    assert _tree(_checkpoint(one))["checkpoint"] == b"step 20"


def test_checkpoints_that_were_replaced_do_not_pile_up(remote, stores, there):
    for step in range(5):
        _checkpoint(stores[0], checkpoint=f"step {step}", best="as ever")
        remote.push_scratch(stores[0], TRAINING.kind, TRAINING.id)
    blobs = _tree(there / "work" / f"{TRAINING.kind}-{TRAINING.id}" / "blobs")
    assert sorted(blobs.values()) == [b"as ever", b"step 4"]


def test_a_watch_sends_each_new_checkpoint_and_not_a_log_that_grows(remote, stores, there):
    _checkpoint(stores[0], log="1")
    manifest = there / "work" / f"{TRAINING.kind}-{TRAINING.id}" / "scratch.json"
    with ScratchWatch(remote, stores[0], TRAINING.kind, TRAINING.id, every_s=0.02):
        with (_checkpoint(stores[0]) / "log").open("a") as log:
            log.write("2")
        time.sleep(0.2)
        assert not manifest.exists()
        _checkpoint(stores[0], checkpoint="step 1")
        _until(manifest.exists)
        first = manifest.read_bytes()
        _checkpoint(stores[0], checkpoint="step 2")
        _until(lambda: manifest.read_bytes() != first)
    assert remote.pull_scratch(stores[1], TRAINING.kind, TRAINING.id)
    assert _tree(_checkpoint(stores[1])) == {"checkpoint": b"step 2", "log": b"12"}


def test_a_checkpoint_that_cannot_be_sent_is_tried_again(remote, stores, monkeypatch, caplog):
    faults = iter([StoreError("no route")])

    def send(*arguments):
        for fault in faults:
            raise fault
        real(*arguments)

    real = remote._objects.send
    monkeypatch.setattr(remote._objects, "send", send)
    with ScratchWatch(remote, stores[0], TRAINING.kind, TRAINING.id, every_s=0.02):
        _checkpoint(stores[0], checkpoint="step 1")
        _until(lambda: remote.pull_scratch(stores[1], TRAINING.kind, TRAINING.id))
    assert "was not sent: no route" in caplog.text


def test_an_artifact_that_is_sent_takes_failure_and_checkpoints_away(remote, made, there):
    failure = Failure(label="a", reason="it broke", error="E", traceback="", log="logs/x", failed_at=datetime.now(UTC))
    there_work = there / "work"
    (there / "failures").mkdir(parents=True)
    (there / "failures" / f"{JOB.kind}-{JOB.id}.json").write_text(failure.model_dump_json())
    (there_work / f"{JOB.kind}-{JOB.id}" / "blobs").mkdir(parents=True)
    (there_work / f"{JOB.kind}-{JOB.id}" / "scratch.json").write_text("{}")
    remote.push_end(made, JOB.kind, JOB.id, "done")
    assert not list((there / "failures").iterdir())
    assert not [path for path in there_work.rglob("*") if path.is_file()]
    assert (there / "logs" / f"{JOB.kind}-{JOB.id}.log").read_text() == made.log_file(JOB.kind, JOB.id).read_text()


def test_a_failure_goes_out_with_its_log_and_comes_in(remote, stores, tmp_path):
    bad = fake_job("bad", does="raise")
    run_plan([bad], stores[0], inline(stores[0], tmp_path / "ran"))
    remote.push_end(stores[0], bad.kind, bad.id, "failed")
    assert remote.pull_failure(stores[1], bad.kind, bad.id)
    assert stores[1].failure(bad.kind, bad.id) == stores[0].failure(bad.kind, bad.id)
    assert "the step broke" in stores[1].log_file(bad.kind, bad.id).read_text()
    assert not remote.pull_failure(stores[1], JOB.kind, JOB.id)


def test_a_whole_store_comes_in_at_once(remote, made, stores, tmp_path):
    bad = fake_job("bad", does="raise")
    run_plan([bad], made, inline(made, tmp_path / "ran"))
    made.studies.save("glue", "name: glue\n", [{"kind": "fake"}], {})
    remote.push_end(made, JOB.kind, JOB.id, "done")
    remote.push_end(made, bad.kind, bad.id, "failed")
    remote.push_study(made, "glue")
    assert remote.pull_all(stores[1]) == 1
    assert remote.pull_all(stores[1]) == 0
    assert stores[1].studies.plan("glue") == [{"kind": "fake"}]
    assert stores[1].failure(bad.kind, bad.id) is not None
    stores[1].verify(JOB.kind, JOB.id)


def test_a_place_that_is_no_store_is_refused_in_words(tmp_path, there):
    with pytest.raises(StoreError, match="there is no store at file://"):
        RemoteStore.open(f"file://{there}", create=False)
    there.mkdir(parents=True)
    (there / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="is not a tunescope store and not empty"):
        RemoteStore.open(f"file://{there}", create=True)
    (there / "notes.txt").unlink()
    (there / "store.json").write_text('{"format": 99}')
    with pytest.raises(StoreError, match="has format 99"):
        RemoteStore.open(f"file://{there}", create=True)


def test_storage_that_one_process_sees_or_no_package_knows_is_refused():
    with pytest.raises(StoreError, match="would be seen by one process only"):
        RemoteStore.open("memory://bucket/study", create=True)
    with pytest.raises(StoreError, match="nosuch"):
        RemoteStore.open("nosuch://bucket/study", create=True)


def test_a_run_that_lost_its_lock_learns_of_it(remote):
    remote.check()
    with remote.lock(FAST):
        remote.check()
        remote._objects.write("lease.json", b'{"holder": "other", "count": 1}')
        time.sleep(0.5)
        with pytest.raises(StoreError, match="another run took it over"):
            remote.check()
    remote.check()


def test_what_is_on_one_side_alone_comes_to_the_other(remote, made, stores):
    assert not remote.on_both(stores[1], JOB.kind, JOB.id)
    assert remote.on_both(made, JOB.kind, JOB.id)
    assert remote.has(JOB.kind, JOB.id)
    assert remote.on_both(stores[1], JOB.kind, JOB.id)
    stores[1].verify(JOB.kind, JOB.id)


def test_a_working_copy_sends_what_an_upload_left_behind_and_the_studies_at_the_end(
    remote, made, stores, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with working_copy(remote.url, create=True, pace=FAST) as (store, _):
        assert run_plan([JOB], store, inline(store, tmp_path / "ran")).exit_code == 0
        store.studies.save("glue", "name: glue\n", [], {})
    assert not remote.has(JOB.kind, JOB.id)  # an inline run sends nothing; the next one finds that out
    with working_copy(remote.url, create=False, pace=FAST):
        assert remote.has(JOB.kind, JOB.id)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    assert reading_copy(remote.url).studies.names() == ["glue"]
    reading_copy(remote.url).verify(JOB.kind, JOB.id)


def test_urls_are_told_from_folders_and_have_a_copy_each(monkeypatch, tmp_path):
    assert is_url("s3://bucket/study")
    assert not is_url("/shared/study")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("s3://bucket/one").parent == tmp_path / "tunescope" / "stores"
    assert cache_folder("s3://bucket/one") != cache_folder("s3://bucket/two")
    assert cache_folder("s3://bucket/one/") == cache_folder("s3://bucket/one")


def _until(holds):
    deadline = time.monotonic() + 10.0
    while not holds():
        assert time.monotonic() < deadline, "did not happen within 10 s"
        time.sleep(0.01)


def test_a_torn_failure_and_a_study_that_is_no_text_are_named_and_files_of_others_left_alone(remote, stores, there):
    for name in ("studies/.DS_Store", "studies/.trash/study.yaml", "artifacts/strange/record.json"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text("{}")
    assert remote.pull_all(stores[0]) == 0
    assert stores[0].studies.names() == []
    (there / "failures").mkdir(exist_ok=True)
    torn = there / "failures" / f"{JOB.kind}-{JOB.id}.json"
    torn.write_text("{")
    with pytest.raises(StoreError, match=rf"/failures/{JOB.kind}-{JOB.id}.json is torn: delete it"):
        remote.pull_all(stores[0])
    torn.unlink()
    (there / "studies" / "glue").mkdir(parents=True)
    (there / "studies" / "glue" / "study.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match=r"/studies/glue/study.yaml is no text: delete it"):
        remote.pull_all(stores[0])


def test_reading_the_copy_that_a_run_works_in_changes_nothing_of_it(remote, made, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made.studies.save("glue", "name: glue # as it was\n", [], {})
    remote.push_study(made, "glue")
    with working_copy(remote.url, create=False, pace=FAST) as (copy, _):
        copy.studies.save("glue", "name: glue # as it is run now\n", [], {})
        assert reading_copy(remote.url).studies.file("glue").read_text() == "name: glue # as it is run now\n"
    assert reading_copy(remote.url).studies.file("glue").read_text() == "name: glue # as it is run now\n"
