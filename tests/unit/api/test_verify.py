from __future__ import annotations

import pytest

from fake_steps import fake_job, inline
from tunescope.api import verify_store
from tunescope.cli import main
from tunescope.errors import StoreError
from tunescope.execution import run_plan
from tunescope.store import Store

JOBS = [fake_job("a"), fake_job("b"), fake_job("c")]


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path / "store", create=True)
    assert run_plan(JOBS, store, inline(store, tmp_path / "ran")).exit_code == 0
    return store


def _files(store, job):
    folder = store.layout.artifact(job.kind, job.id)
    return [folder / name for name in store.record(job.kind, job.id).files]


def test_a_store_that_is_whole(store, capsys):
    found = verify_store(store.path)
    assert (found.num_whole, found.problems) == (3, ())
    assert found.num_bytes == sum(file.stat().st_size for job in JOBS for file in _files(store, job))
    assert main(["verify", str(store.path)]) == 0
    assert capsys.readouterr().out.startswith("3 artifacts are whole (")


def test_a_flipped_bit_and_a_torn_record_are_named_with_what_mends_them(store, capsys):
    flipped = _files(store, JOBS[0])[0]
    content = bytearray(flipped.read_bytes())
    content[0] ^= 1
    flipped.write_bytes(content)
    record = store.layout.artifact(JOBS[1].kind, JOBS[1].id) / "record.json"
    record.write_bytes(record.read_bytes()[:40])
    found = verify_store(store.path)
    assert found.num_whole == 1
    first, second = sorted(found.problems, key=lambda text: "is torn (" in text)
    assert f"{flipped.name} holds other bytes than were written" in first
    assert f"tunescope forget {JOBS[0].id[:8]}" in first
    assert "record.json is torn" in second
    assert main(["verify", str(store.path)]) == 1
    assert capsys.readouterr().out.rstrip().endswith("2 are not")


def test_no_store(tmp_path):
    with pytest.raises(StoreError, match="there is no store at"):
        verify_store(tmp_path / "absent")
