"""The history of run commands: lines that are read back, and a torn one that costs itself alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tunescope.errors import StoreError
from tunescope.store.history import RunLine, append_run, read_runs


def _line(**changed):
    given = {
        "started_at": datetime(2026, 1, 2, 3, tzinfo=UTC),
        "ended_at": datetime(2026, 1, 2, 4, tzinfo=UTC),
        "duration_s": 3600.0,
        "executor": "local",
        "num_workers": 2,
        "shard": "1/3",
        "predicted_makespan_s": 3000.0,
        "job_seconds": 7000.0,
        "done": 3,
        "reused": 1,
        "failed": 0,
        "blocked": 0,
        "left": 0,
        "retried": 1,
        "interrupted": False,
        "host": "node-a",
        "tunescope": "0.1.0",
    }
    return RunLine(**(given | changed))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "runs.jsonl"
    assert read_runs(path) == ([], 0)
    lines = [_line(), _line(done=4, killed=True, predicted_makespan_s=None, shard=None)]
    for line in lines:
        append_run(path, line)
    assert read_runs(path) == (lines, 0)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("cut", [1, 40, -3])
def test_a_line_that_a_crash_cut_costs_itself_alone(tmp_path, cut):
    path = tmp_path / "runs.jsonl"
    append_run(path, _line())
    path.write_bytes(path.read_bytes() + _line().model_dump_json().encode()[:cut])
    append_run(path, _line(done=9))
    lines, num_torn = read_runs(path)
    assert [line.done for line in lines] == [3, 9]
    assert num_torn == 1


def test_a_folder_that_cannot_be_written_is_told_in_words(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        append_run(tmp_path / "runs.jsonl", _line())


def test_a_history_that_cannot_be_read_is_told_in_words(tmp_path):
    (tmp_path / "runs.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"runs\.jsonl cannot be read"):
        read_runs(tmp_path / "runs.jsonl")
