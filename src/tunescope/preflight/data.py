"""Whether every data set loads, and what is in it: counts, balance of labels, rows shared between splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tunescope.hub.source import Source
from tunescope.preflight.finding import Finding, Status
from tunescope.steps.inputs import report_data, training_data
from tunescope.study.configs import as_reported, as_trained_on
from tunescope.study.own_files import mean_tokens
from tunescope.tasks.data import MAX_OVERLAP, Examples, TaskData, describe_task_data, told_of_overlap
from tunescope.tasks.kin import Kinship
from tunescope.tasks.spec import Expected, TaskSpec

_SAMPLE = 2000
_MAX_KIN = 0.05
"""Share of selection rows that may be near a train row before choosing on them is worth a note."""
_RARE = 0.05


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows of each part of a task, evenly spread over it; all where there are few."""

    train: Examples
    selection: Examples
    report: Examples


@dataclass(frozen=True, kw_only=True)
class DataLook:
    """What was learnt of one task's data."""

    task: TaskSpec
    """The task with its true counts as `expected`, so that predictions rest on what is there."""
    sample: Sample
    findings: tuple[Finding, ...]


def look_at_data(task: TaskSpec, source: Source) -> DataLook:
    """Reads and checks every row of a task.

    Raises:
        DataError: If a split is missing or a row is not what the task declares.
    """
    training = training_data(as_trained_on(task), source)
    report = report_data(as_reported(task), source)
    data = describe_task_data(task, training, report)
    found = _num_rows(task, source, task.train_split), _num_rows(task, source, task.report_split)
    return DataLook(
        task=task.model_copy(update={"expected": _expected(task, data, *found)}),
        sample=Sample(train=_some(data.train), selection=_some(data.selection), report=_some(data.report)),
        findings=(
            *judge_data(task, data),
            *judge_counts(task, num_train=found[0], num_report=found[1]),
        ),
    )


def judge_data(task: TaskSpec, data: TaskData) -> Iterator[Finding]:
    """Rows by part, their balance, and what the report rows share with rows that runs learn or choose from."""
    parts = ", ".join(f"{data.counts[part]:,} {part}" for part in ("train", "selection", "report"))
    balance = [f"{part} {shown}" for part, counts in data.label_balance.items() if (shown := _shares(counts))]
    yield _finding(task, "ok", f"{parts} rows" + (f"; {'; '.join(balance)}" if balance else ""))
    rare = [label for label, count in data.label_balance["train"].items() if count < _RARE * data.counts["train"]]
    if rare:
        yield _finding(
            task, "note", f"under {_RARE:.0%} of the train rows are {' or '.join(rare)}: accuracy alone will mislead"
        )
    absent = [label for label, count in data.label_balance["report"].items() if count == 0]
    if absent:
        yield _finding(task, "note", f"no report row is {' or '.join(absent)}")
    if data.overlap:
        share = data.overlap / data.counts["report"]
        yield _finding(
            task,
            "fault" if share > MAX_OVERLAP else "note",
            f"{told_of_overlap(data.overlap, data.counts['report'])}. Take them out of one of the splits",
        )
    else:
        yield _finding(task, "ok", "no report row is in train or selection")
    yield _judge_selection(task, data.selection_kin)


def _judge_selection(task: TaskSpec, kin: Kinship) -> Finding:
    """What the selection rows, which early stopping and sweeps choose by, share with the train rows."""
    shares = {
        "equal a train row up to case and punctuation": kin.num_equal / kin.num_rows,
        "share a text with a train row": kin.num_sharing / kin.num_rows,
        "stand inside a longer train row": kin.num_inside / kin.num_rows,
    }
    told = f"of {kin.num_rows:,} selection rows " + ", ".join(f"{share:.1%} {what}" for what, share in shares.items())
    if sum(shares.values()) > _MAX_KIN:
        return _finding(task, "note", f"{told}: what is chosen on them rewards memory, report scores do not")
    return _finding(task, "ok", told)


def judge_counts(task: TaskSpec, *, num_train: int, num_report: int) -> Iterator[Finding]:
    """Holds the splits' whole numbers of rows against what the task says it holds."""
    expected = task.expected
    if expected is None:
        return
    for split, said, found in (
        (task.train_split, expected.num_train, num_train),
        (task.report_split, expected.num_report, num_report),
    ):
        if said != found:
            yield _finding(
                task,
                "note",
                f"split '{split}' has {found:,} rows, expected {said:,}: is it another version of the data?",
            )


def _expected(task: TaskSpec, data: TaskData, num_train: int, num_report: int) -> Expected:
    if task.expected is not None:
        return task.expected.model_copy(update={"num_train": num_train, "num_report": num_report})
    rows = list(zip(*_some(data.train).texts.values(), strict=True))
    characters = sum(len(text) for row in rows for text in row) / len(rows)
    return Expected(num_train=num_train, num_report=num_report, mean_tokens=mean_tokens(characters))


def _num_rows(task: TaskSpec, source: Source, split: str) -> int:
    """Rows of a whole split, before anything is held out or left out."""
    dataset = task.dataset
    if dataset.files is not None:
        return int(source.table(file=dataset.files[split], split=split).num_rows)
    table = source.table(hub=dataset.hub, config=dataset.config, revision=dataset.revision, split=split)
    return int(table.num_rows)


def _some(examples: Examples) -> Examples:
    if len(examples) <= _SAMPLE:
        return examples
    return examples.take(np.linspace(0, len(examples) - 1, _SAMPLE).astype(np.int64))


def _shares(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    return ", ".join(f"{count / total:.0%} {label}" for label, count in counts.items()) if total else ""


def _finding(task: TaskSpec, status: Status, message: str) -> Finding:
    return Finding(section="data", subject=task.name, status=status, message=message)
