"""Where a study stands: what the store holds, merged with what a run under way says of itself."""

from __future__ import annotations

import os
import shlex
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stored_study import TEXT, StoredStudy
from tunescope.api import status
from tunescope.api.status import study_status
from tunescope.execution.events import JobStarted, PlanSkipped, WorkerSeen, WorkerState
from tunescope.execution.live.heard import Heard
from tunescope.store import Failure
from tunescope.store.layout import Layout
from tunescope.store.record import Attempt


@pytest.fixture
def stored(tmp_path):
    found = StoredStudy(tmp_path / "a store")
    known = {"decoders": {"org/decoder": True}, "files_sha256": {}}
    found.store.studies.save("t", TEXT, [], known)
    status._used.clear()
    return found


@pytest.fixture
def file(stored):
    return Layout(root=stored.store.path).live


def _heard(stored, *labels, study="t"):
    heard = Heard(stored.plan.jobs, study=study, executor="local", num_workers=2, shard=None, clock=time.monotonic)
    heard.take(PlanSkipped(reused=(), num_jobs=len(stored.plan.jobs)))
    for number, label in enumerate(labels, 1):
        seen = WorkerState(name=f"worker {number}", host="h", pid=1, device="cpu", state="running")
        heard.take(WorkerSeen(worker=seen))
        heard.take(JobStarted(job=stored.jobs[label], worker=seen.name))
    return heard


def _write(file, live):
    file.write_text(live.model_dump_json(), encoding="utf-8")


def _states(found):
    return {one.job.label: one.state for one in found.jobs}


def test_a_store_that_nobody_ran_into_lately(stored):
    stored.train("rte-lora-seed1")
    found = study_status(stored.store.path)
    assert (found.seen, found.live_problem, found.is_running) == (None, "", False)
    assert _states(found)["rte-lora-seed1"] == "done"
    assert found.counts["missing"] == len(stored.plan.jobs) - 1
    assert found.counts["running"] == 0


def test_what_a_live_run_does_is_running_also_where_it_failed_before(stored, file):
    stored.fail("rte-lora-seed1")
    _write(file, _heard(stored, "rte-lora-seed1", "rte-lora-seed2").live())
    found = study_status(stored.store.path)
    assert found.is_running
    by_label = {one.job.label: one for one in found.jobs}
    assert by_label["rte-lora-seed1"].state == by_label["rte-lora-seed2"].state == "running"
    assert by_label["rte-lora-seed2"].reason == "on worker 2"
    assert (found.counts["running"], found.counts["failed"]) == (2, 0)


def test_what_has_ended_since_the_last_writing_is_done(stored, file):
    _write(file, _heard(stored, "rte-lora-seed1").live())
    stored.train("rte-lora-seed1")
    assert _states(study_status(stored.store.path))["rte-lora-seed1"] == "done"


def test_what_a_dead_run_did_is_left(stored, file, monkeypatch):
    live = _heard(stored, "rte-lora-seed1").live()
    _write(file, live.model_copy(update={"process": "another boot/1/2/3"}))
    old = time.time() - 180.0
    os.utime(file, (old, old))
    monkeypatch.setattr("tunescope.store.live.LOOK_AGAIN_S", 0.0)
    found = study_status(stored.store.path)
    assert (found.seen.driver, found.is_running) == ("silent", False)
    assert _states(found)["rte-lora-seed1"] == "missing"


def test_a_torn_file_is_told_of_and_hides_nothing_else(stored, file):
    stored.train("rte-lora-seed1")
    file.write_text("{", encoding="utf-8")
    found = study_status(stored.store.path)
    assert found.seen is None
    assert "torn" in found.live_problem
    assert _states(found)["rte-lora-seed1"] == "done"


def test_the_run_of_another_study_is_none_of_this_one(stored, file):
    _write(file, _heard(stored, "rte-lora-seed1", study="other").live())
    found = study_status(stored.store.path)
    assert not found.is_running
    assert _states(found)["rte-lora-seed1"] == "running"  # the job is this study's too


def test_a_failure_says_its_tries_and_who_waits_and_what_shows_the_log(stored):
    job = stored.jobs["rte-lora-seed1"]
    attempt = Attempt(
        cause="lost", reason="r", worker="worker 1", ended_at=datetime(2026, 1, 2, tzinfo=UTC), duration_s=5.0
    )
    failure = Failure(
        label=job.label,
        reason="no row",
        error="E",
        traceback="",
        log="x",
        failed_at=datetime(2026, 1, 2, tzinfo=UTC),
        cause="code",
        attempts=(attempt,),
    )
    stored.store.begin(job.kind, job.id)
    stored.store.fail(job.kind, job.id, failure)
    (one,) = [one for one in study_status(stored.store.path).jobs if one.state == "failed"]
    assert one.failure == failure
    assert one.waiting == ("rte-lora-seed1-evaluate",)
    assert shlex.split(one.log_command) == ["tail", "-n", "50", str(stored.store.log_file(job.kind, job.id))]
    assert "'" in one.log_command  # the store's name holds a blank


def test_a_try_that_another_follows_is_no_failure_yet(stored):
    """Until its last try the job is left, also where the run was killed before the next."""
    job = stored.jobs["rte-lora-seed1"]
    stored.store.begin(job.kind, job.id)
    when = datetime(2026, 1, 2, tzinfo=UTC)
    tries = [Attempt(cause="lost", reason="r", worker="w", ended_at=when, duration_s=5.0)] * 2
    for attempts, state in ((tries[:1], "missing"), (tries, "failed")):
        failure = Failure(
            label=job.label,
            reason="SIGKILL",
            error="lost",
            traceback="",
            log="x",
            failed_at=when,
            cause="lost",
            attempts=tuple(attempts),
        )
        stored.store.fail(job.kind, job.id, failure)
        (one,) = [one for one in study_status(stored.store.path).jobs if one.job.id == job.id]
        assert (one.state, one.failure) == (state, failure if state == "failed" else None)
    assert one.reason.startswith("SIGKILL")


def test_a_failure_that_cannot_be_read_is_one(stored):
    stored.fail("rte-lora-seed1")
    job = stored.jobs["rte-lora-seed1"]
    Layout(root=stored.store.path).failure(job.kind, job.id).write_text("{")
    one = next(one for one in study_status(stored.store.path).jobs if one.job.label == "rte-lora-seed1")
    assert (one.state, one.failure) == ("failed", None)
    assert "torn" in one.reason


def test_disk(stored):
    before = study_status(stored.store.path)
    (stored.store.path / "logs").mkdir()
    (stored.store.path / "logs" / "x.log").write_bytes(bytes(2**20))
    assert study_status(stored.store.path).used_gib == before.used_gib  # added up once a minute
    status._used.clear()
    assert study_status(stored.store.path).used_gib == pytest.approx(before.used_gib + 1 / 1024)
    assert before.free_gib > 0.0


def test_nothing_is_written(stored, file):
    _write(file, _heard(stored, "rte-lora-seed1").live())
    before = {path: path.stat().st_mtime_ns for path in stored.store.path.rglob("*")}
    study_status(stored.store.path)
    assert {path: path.stat().st_mtime_ns for path in stored.store.path.rglob("*")} == before


def test_trials_that_nothing_waits_for_are_not_left(tmp_path):
    swept = TEXT.replace("lora: {}", "lora: {rank: {sweep: [4, 8]}}") + "sweep: {allow_unequal_budgets: true}\n"
    stored = StoredStudy(tmp_path / "store", swept)
    stored.store.studies.save("t", swept, [], {"decoders": {"org/decoder": True}, "files_sha256": {}})
    for label, job in stored.jobs.items():
        if job.kind == "select":
            stored.commit(label, {})
    found = study_status(stored.store.path)
    unwanted = [one for one in found.jobs if one.state == "missing" and not one.is_wanted]
    assert {one.job.kind for one in unwanted} >= {"trial"}
    assert found.counts["missing"] + len(unwanted) + found.counts["done"] == len(found.jobs)
    assert replace(found, jobs=()).counts == {}
