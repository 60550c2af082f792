"""From a task and its files to three parts that share nothing, whatever the format."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunescope.errors import DataError
from tunescope.hub.source import Source
from tunescope.tasks.data import TaskData, load_report_data, load_task_data, load_training_data, read_split
from tunescope.tasks.spec import Classification, Dataset, QuestionAnswering, Regression, TaskSpec

LABELS = ("bad", "good")


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)


def files(ending: str) -> Dataset:
    return Dataset(files={"train": f"train.{ending}", "validation": f"validation.{ending}"})


def load(
    folder: Path, ending: str, task: TaskSpec, train: list[dict[str, Any]], report: list[dict[str, Any]]
) -> TaskData:
    write(folder / f"train.{ending}", train)
    write(folder / f"validation.{ending}", report)
    return load_task_data(task, Source(study_folder=folder))


def fingerprints(folder: Path, task: TaskSpec) -> tuple[str, str]:
    source = Source(study_folder=folder)
    return load_training_data(task, source).fingerprint, load_report_data(task, source).fingerprint


def reviews(n: int, word: str = "film") -> list[dict[str, Any]]:
    return [{"text": f'a "{word}",\nnumber {place} é', "label": place % 2, "more": place} for place in range(n)]


def same_examples(first: TaskData, second: TaskData) -> bool:
    return all(
        left.ids == right.ids and left.texts == right.texts and list(left.targets) == list(right.targets)
        for left, right in (
            (first.train, second.train),
            (first.selection, second.selection),
            (first.report, second.report),
        )
    )


def test_csv_json_lines_and_parquet_give_the_same_examples_and_fingerprints(tmp_path: Path) -> None:
    loaded: list[TaskData] = []
    prints: set[tuple[str, str]] = set()
    for ending in ("csv", "jsonl", "parquet"):
        task = Classification(name="r", dataset=files(ending), labels=LABELS)
        loaded.append(load(tmp_path, ending, task, reviews(40), reviews(10, "play")))
        prints.add(fingerprints(tmp_path, task))

    assert all(same_examples(loaded[0], other) for other in loaded[1:])
    assert len(prints) == 1


def test_the_same_holds_for_scores_and_for_flat_answers(tmp_path: Path) -> None:
    scored = [{"text": f"text {place}", "score": place / 2} for place in range(30)]
    asked = [
        {"question": "Who?", "context": f"Ann {place} came.", "answer": "Ann" if place % 2 else "", "start": 0}
        for place in range(30)
    ]
    for make, rows in ((Regression, scored), (QuestionAnswering, asked)):
        flat = {"id": None, "answer_text": "answer", "answer_start": "start"} if make is QuestionAnswering else {}
        loaded: list[TaskData] = []
        prints: set[tuple[str, str]] = set()
        for ending in ("csv", "jsonl", "parquet"):
            task = make(name="t", dataset=files(ending), **flat)
            loaded.append(load(tmp_path, ending, task, rows, rows[:9]))
            prints.add(fingerprints(tmp_path, task))

        assert all(same_examples(loaded[0], other) for other in loaded[1:])
        assert len(prints) == 1


def test_parts_counts_and_balance(tmp_path: Path) -> None:
    task = Classification(name="r", dataset=files("csv"), labels=LABELS, max_train=20, max_report=6)

    data = load(tmp_path, "csv", task, reviews(100), reviews(30, "play"))

    assert data.counts == {"train": 20, "selection": 10, "report": 6}
    assert data.label_balance == {
        "train": {"bad": 10, "good": 10},
        "selection": {"bad": 5, "good": 5},
        "report": {"bad": 3, "good": 3},
    }
    assert not set(data.train.ids) & set(data.selection.ids)
    assert data.overlap == 0


def test_texts_in_both_splits_are_counted(tmp_path: Path) -> None:
    task = Classification(name="r", dataset=files("csv"), labels=LABELS)

    assert load(tmp_path, "csv", task, reviews(40), reviews(7) + reviews(5, "play")).overlap == 7


def test_fingerprints_follow_a_splits_texts_and_labels_but_not_other_columns(tmp_path: Path) -> None:
    task = Classification(name="r", dataset=files("csv"), labels=LABELS, max_train=10)
    load(tmp_path, "csv", task, reviews(40), reviews(10, "play"))
    prints = [fingerprints(tmp_path, task)]
    for key, value in (("more", 77), ("label", 1), ("text", "changed")):
        changed = reviews(40)
        changed[0] = changed[0] | {key: value}
        write(tmp_path / "train.csv", changed)
        prints.append(fingerprints(tmp_path, task))

    assert prints[0] == prints[1]
    assert len({train for train, _ in prints}) == 3
    assert len({report for _, report in prints}) == 1


def test_training_data_needs_no_report_rows(tmp_path: Path) -> None:
    task = Classification(name="r", dataset=files("csv"), labels=LABELS)
    write(tmp_path / "train.csv", reviews(40))

    data = load_training_data(task, Source(study_folder=tmp_path))

    assert (len(data.train), len(data.selection)) == (36, 4)


def test_balance_of_questions_and_of_scores(tmp_path: Path) -> None:
    quiz = QuestionAnswering(name="q", dataset=files("jsonl"))
    rows: list[dict[str, Any]] = [
        {
            "id": str(place),
            "question": "Who?",
            "context": f"Ann {place} came.",
            "answers": {"text": ["Ann"], "answer_start": [0]} if place % 4 else {"text": [], "answer_start": []},
        }
        for place in range(40)
    ]
    scores = Regression(name="s", dataset=files("csv"))

    balance = load(tmp_path, "jsonl", quiz, rows, rows[:8]).label_balance

    assert balance["report"] == {"answerable": 6, "unanswerable": 2}
    assert balance["train"]["answerable"] + balance["selection"]["answerable"] == 30
    empty = load(
        tmp_path,
        "csv",
        scores,
        [{"text": str(i), "score": i} for i in range(20)],
        [{"text": str(i), "score": i} for i in range(5)],
    )
    assert empty.label_balance == {"train": {}, "selection": {}, "report": {}}


def test_a_split_without_a_file_is_refused_and_says_which_exist(tmp_path: Path) -> None:
    task = Classification(name="r", dataset=files("csv"), labels=LABELS, report_split="validaton")
    write(tmp_path / "train.csv", reviews(10))

    with pytest.raises(
        DataError, match=r"no file for split 'validaton'\. Did you mean 'validation'\? Known: train, validation"
    ):
        load_task_data(task, Source(study_folder=tmp_path))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    task = Classification(name="r", dataset=files("csv"), labels=LABELS)

    with pytest.raises(DataError, match=r"train\.csv: no such file"):
        load_task_data(task, Source(study_folder=tmp_path))


def test_one_split_for_both_is_refused() -> None:
    with pytest.raises(ValueError, match="train_split and report_split are both 'train'"):
        Classification(name="r", dataset=files("csv"), labels=LABELS, report_split="train")


@pytest.mark.parametrize("field", ["max_train", "max_report"])
def test_a_limit_that_leaves_one_label_is_refused(tmp_path: Path, field: str) -> None:
    task = Classification(name="r", dataset=files("csv"), labels=LABELS, **{field: 1})

    with pytest.raises(DataError, match=f"are all of one label. Raise {field} to at least 2"):
        load(tmp_path, "csv", task, reviews(40), reviews(10, "play"))


def test_any_split_can_be_read_alone(tmp_path: Path) -> None:
    task = Classification(name="r", dataset=files("csv"), labels=LABELS)
    write(tmp_path / "validation.csv", reviews(4))

    assert read_split(task, Source(study_folder=tmp_path), "validation").ids == tuple(
        f"validation-{i}" for i in range(4)
    )
