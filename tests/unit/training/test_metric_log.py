"""A log that is only appended to, also after a process died in the middle of a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunescope.training.metric_log import MetricLog, read_log


def test_the_later_entry_of_a_step_counts(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with MetricLog(path) as log:
        for step in (1, 2, 3):
            log.append(event="step", step=step, loss=1.0)
    with MetricLog(path) as log:
        log.append(event="resumed", step=2)
        log.append(event="step", step=3, loss=0.5)
    steps = {entry["step"]: entry["loss"] for entry in read_log(path) if entry["event"] == "step"}
    assert steps == {1: 1.0, 2: 1.0, 3: 0.5}


def test_a_torn_line_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "step", "step": 1, "loss": 2.0}\n{"event": "step", "st')
    with MetricLog(path) as log:
        log.append(event="step", step=2, loss=1.0)
    assert [entry["step"] for entry in read_log(path)] == [1, 2]


def test_a_loss_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with MetricLog(tmp_path / "log.jsonl") as log, pytest.raises(ValueError, match="not JSON compliant"):
        log.append(event="step", step=1, loss=float("nan"))


def test_half_a_line_that_ends_with_an_inner_brace_is_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "step", "step": 1}\n{"event": "watched", "step": 1, "cka": {"1": 0.5}')
    assert [entry["event"] for entry in read_log(path)] == ["step"]  # another process reads while the line is written
    with MetricLog(path) as log:
        log.append(event="step", step=2)
    assert [(entry["event"], entry["step"]) for entry in read_log(path)] == [("step", 1), ("step", 2)]


def test_others_see_an_entry_after_two_seconds_and_not_each_at_once(tmp_path: Path) -> None:
    now = 100.0
    path = tmp_path / "log.jsonl"
    with MetricLog(path, clock=lambda: now) as log:
        seen = []
        for step in range(1, 10):
            log.append(event="step", step=step)
            seen.append(len(read_log(path)))
            now += 0.7
        assert seen == [0, 0, 0, 4, 4, 4, 7, 7, 7]
        log.flush()
        assert len(read_log(path)) == 9
