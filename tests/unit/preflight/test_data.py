"""What is in a task's data: counts, balance, and rows that two splits share."""

from __future__ import annotations

import csv

import pytest

from tunescope.errors import DataError
from tunescope.hub.source import Source
from tunescope.preflight.data import look_at_data
from tunescope.tasks.spec import Classification


@pytest.fixture
def task(tmp_path):
    """A task of 60 train rows and 20 report rows that share no text."""
    _write(tmp_path / "train.csv", [(f"text {row}", row % 2) for row in range(60)])
    _write(tmp_path / "dev.csv", [(f"other text {row}", row % 2) for row in range(20)])
    return _task()


@pytest.fixture
def source(tmp_path):
    return Source(study_folder=tmp_path)


def _task(**fields):
    return Classification.model_validate(
        {
            "name": "small",
            "dataset": {"files": {"train": "train.csv", "validation": "dev.csv"}},
            "labels": ["bad", "good"],
        }
        | fields
    )


def _write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)


def _said(look):
    return [(finding.status, finding.message) for finding in look.findings]


def test_sound_data_is_told_with_counts_and_balance(task, source):
    look = look_at_data(task, source)
    assert _said(look) == [
        (
            "ok",
            "54 train, 6 selection, 20 report rows; train 50% bad, 50% good; selection 50% bad, 50% good; "
            "report 50% bad, 50% good",
        ),
        ("ok", "no report row is in train or selection"),
        (
            "ok",
            "of 6 selection rows 0.0% equal a train row up to case and punctuation, 0.0% share a text with a train row, "
            "0.0% stand inside a longer train row",
        ),
    ]
    assert (look.task.expected.num_train, look.task.expected.num_report) == (60, 20)
    assert look.task.expected.mean_tokens == pytest.approx(1 + 7 / 4, abs=0.1)


@pytest.mark.parametrize("shared,status", [(1, "note"), (3, "fault")])
def test_shared_rows_are_a_note_and_many_of_them_a_fault(task, source, tmp_path, shared, status):
    rows = [(f"other text {row}", row % 2) for row in range(200 - shared)]
    _write(tmp_path / "dev.csv", rows + [(f"text {row}", row % 2) for row in range(shared)])
    told = [finding for finding in look_at_data(task, source).findings if "of 200 report rows" in finding.message]
    assert [finding.status for finding in told] == [status]
    assert told[0].message.startswith(f"{shared} of 200 report rows ({shared / 200:.1%}) have texts that are in train")


def test_other_counts_than_expected_are_a_note(task, source):
    expecting = _task(expected={"num_train": 60, "num_report": 21, "mean_tokens": 5.0})
    look = look_at_data(expecting, source)
    notes = [message for status, message in _said(look) if status == "note"]
    assert notes == ["split 'validation' has 20 rows, expected 21: is it another version of the data?"]
    assert look.task.expected.num_report == 20
    assert look.task.expected.mean_tokens == 5.0


def test_whole_splits_are_counted_where_a_task_takes_only_some_rows(source, task):
    look = look_at_data(_task(max_train=10, max_report=4), source)
    assert look.task.expected.num_train == 60
    assert _said(look)[0][1].startswith("10 train, 6 selection, 4 report rows")


def test_a_rare_label_is_a_note(task, source, tmp_path):
    _write(tmp_path / "train.csv", [(f"text {row}", int(row < 3)) for row in range(100)])
    assert ("note", "under 5% of the train rows are good: accuracy alone will mislead") in _said(
        look_at_data(task, source)
    )


def test_selection_rows_cut_out_of_train_rows_are_a_note(task, source, tmp_path):
    _write(tmp_path / "train.csv", [(" ".join(f"w{word}" for word in range(row, 60)), row % 2) for row in range(60)])
    (note,) = [message for status, message in _said(look_at_data(task, source)) if status == "note"]
    assert note.startswith("of 6 selection rows 0.0% equal a train row up to case and punctuation, 0.0% share a text")
    assert "100.0% stand inside a longer train row: what is chosen on them rewards memory" in note


def test_broken_data_raises(source, task, tmp_path):
    (tmp_path / "dev.csv").unlink()
    with pytest.raises(DataError, match=r"dev\.csv"):
        look_at_data(task, source)
