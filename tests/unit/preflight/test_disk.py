"""Whether a store can be used and what is left fits on its disk; nothing is written to find out."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import pytest

from tunescope.cost.predict import Prediction
from tunescope.errors import StoreError
from tunescope.preflight.disk import check_disk, open_store
from tunescope.store import Store
from tunescope.study.estimate import JobEstimate
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

PLAN = make_plan(
    parse_study("{name: t, base_model: org/one, tasks: [mrpc], methods: {full: {}}, seeds: [1]}", "t"),
    {"org/one": True},
)


def _estimates(disk_gib, scratch_gib=0.0):
    one = JobEstimate(prediction=Prediction(seconds=1.0, memory_gib=1.0, disk_gib=disk_gib, scratch_gib=scratch_gib))
    return [one] * len(PLAN.jobs)


def _check(tmp_path, estimates, **more):
    options = {"kept": None, "num_workers": 1} | more
    return list(check_disk(PLAN, estimates, tmp_path / "store", **options))


@pytest.fixture
def ten_gib_free(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10 * 2**30))


def test_what_fits_is_fine_and_what_does_not_is_a_fault(tmp_path, ten_gib_free):
    num = len(PLAN.jobs)
    (fine,) = _check(tmp_path, _estimates(9.0 / num, 0.5))
    assert fine.status == "ok"
    assert f"{num} of {num} jobs are left: they keep about 9.00 GiB and need up to 0.50 GiB meanwhile" in fine.message
    (short,) = _check(tmp_path, _estimates(11.0 / num))
    assert short.status == "fault"
    assert "10.0 GiB are free. Free some space" in short.message


def test_each_worker_has_checkpoints_of_its_own(tmp_path, ten_gib_free):
    assert _check(tmp_path, _estimates(0.1, 3.0), num_workers=3)[0].status == "ok"
    assert _check(tmp_path, _estimates(0.1, 3.0), num_workers=4)[0].status == "fault"


def test_done_jobs_need_no_room(tmp_path, ten_gib_free):
    done = SimpleNamespace(artifact=lambda kind, id: tmp_path)
    (finding,) = _check(tmp_path, _estimates(100.0), kept=done)
    assert finding.status == "ok"
    assert finding.message.startswith(f"0 of {len(PLAN.jobs)} jobs are left: they keep about 0.00 GiB")


def test_unknown_needs_are_a_note(tmp_path):
    found = _check(tmp_path, [JobEstimate(prediction=None, missing="nobody knows")] * len(PLAN.jobs))
    assert [finding.status for finding in found] == ["note", "ok"]


def test_paths_that_a_run_could_use(tmp_path):
    assert open_store(tmp_path / "new" / "store") is None
    (tmp_path / "empty").mkdir()
    assert open_store(tmp_path / "empty") is None
    Store.open(tmp_path / "store", create=True)
    assert isinstance(open_store(tmp_path / "store"), Store)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "store"]


def test_paths_that_a_run_could_not_use(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is a file"):
        open_store(tmp_path / "file")
    with pytest.raises(StoreError, match=r"cannot be made: .*file is a file"):
        open_store(tmp_path / "file" / "store")
    with pytest.raises(StoreError, match="not a tunescope store"):
        open_store(tmp_path)
    Store.open(tmp_path / "store", create=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StoreError, match="is not writable"):
        open_store(tmp_path / "store")
    with pytest.raises(StoreError, match=r"cannot be made: .* is not writable"):
        open_store(tmp_path / "new")
