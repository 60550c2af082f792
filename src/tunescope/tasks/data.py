"""A task's data, ready to encode: rows to train on, rows to choose on, rows to report on, and what is known of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tunescope.errors import DataError, did_you_mean
from tunescope.hub.fingerprint import table_fingerprint
from tunescope.hub.source import Source
from tunescope.tasks.carve import carve_selection, subsample
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.kin import Kinship, kinship, normalised_rows
from tunescope.tasks.rows import read_examples
from tunescope.tasks.spec import Classification, QuestionAnswering, TaskSpec

MAX_OVERLAP = 0.01
"""Share of report rows that may also be seen in training before scores say too little."""

__all__ = [
    "MAX_OVERLAP",
    "Answers",
    "Examples",
    "ReportData",
    "TaskData",
    "TrainingData",
    "describe_task_data",
    "load_report_data",
    "load_task_data",
    "load_training_data",
    "num_seen_before",
    "read_split",
    "seen_rows",
    "told_of_overlap",
]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a run may learn from: rows to train on, and rows to choose on."""

    train: Examples
    selection: Examples
    fingerprint: str
    """SHA-256 of the checked rows of the train split, whole: the same for CSV, JSON lines and Parquet of the same rows."""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """What a study reports on; nothing is ever chosen on it."""

    report: Examples
    fingerprint: str
    """As `TrainingData.fingerprint`, of the report split."""


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """A task's examples in three parts, and what is known of them."""

    train: Examples
    selection: Examples
    report: Examples
    counts: Mapping[str, int]
    """Number of examples by part."""
    label_balance: Mapping[str, Mapping[str, int]]
    """Examples of each label (question answering: `answerable`, `unanswerable`) by part; empty for regression."""
    overlap: int
    """Report examples whose texts all occur together in one example of train or selection as well."""
    selection_kin: Kinship
    """How near the selection rows are to the train rows; by contexts for question answering."""


def load_training_data(task: TaskSpec, source: Source) -> TrainingData:
    """Reads a task's train split, checks every row and holds out the selection rows.

    The selection rows come out of the whole train split; `max_train` then limits what is left.

    Raises:
        DataError: If the split is missing or a row is not what the task declares; see `rows.read_examples`.
    """
    rows = read_split(task, source, task.train_split)
    train_at, selection_at = carve_selection(task, rows)
    train, selection = subsample(task, rows.take(train_at), task.max_train), rows.take(selection_at)
    _check_classes(task, "train", train)
    return TrainingData(train=train, selection=selection, fingerprint=_fingerprint(rows))


def load_report_data(task: TaskSpec, source: Source) -> ReportData:
    """Reads a task's report split, checks every row and takes at most `max_report` of them.

    Raises:
        DataError: As `load_training_data`.
    """
    rows = read_split(task, source, task.report_split)
    report = subsample(task, rows, task.max_report)
    _check_classes(task, "report", report)
    return ReportData(report=report, fingerprint=_fingerprint(rows))


def describe_task_data(task: TaskSpec, training: TrainingData, report: ReportData) -> TaskData:
    """Both halves of a task's data side by side: counts, balance, and what they share."""
    parts = {"train": training.train, "selection": training.selection, "report": report.report}
    return TaskData(
        **parts,
        counts={part: len(examples) for part, examples in parts.items()},
        label_balance={part: _balance(task, examples) for part, examples in parts.items()},
        overlap=num_seen_before(seen_rows(training), report),
        selection_kin=_selection_kin(task, training),
    )


def seen_rows(training: TrainingData) -> np.ndarray:
    """(n,) uint64, ascending: a digest of the texts of every train and selection row, to know them again by."""
    return np.unique(np.concatenate([_digests(training.train), _digests(training.selection)]))


def num_seen_before(seen: np.ndarray, report: ReportData) -> int:
    """Report examples whose texts all occur together in one example that a run learnt or chose from.

    Args:
        seen: As `seen_rows` gives them.
        report: Of the same task.
    """
    return int(np.isin(_digests(report.report), seen).sum())


def _digests(examples: Examples) -> np.ndarray:
    # 64 bits: among 100,000 rows of each split two different ones are taken for one with a chance of 5e-10.
    rows = zip(*examples.texts.values(), strict=True)  # columns stand in the task's order everywhere
    digests = [hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest() for texts in rows]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def told_of_overlap(num_seen: int, num_report: int) -> str:
    """What is to be said of report rows that a run may have seen."""
    return (
        f"{num_seen:,} of {num_report:,} report rows ({num_seen / num_report:.1%}) have texts that are in train or "
        "selection too: their scores measure memory"
    )


def _selection_kin(task: TaskSpec, training: TrainingData) -> Kinship:
    columns = (task.context,) if isinstance(task, QuestionAnswering) else tuple(training.train.texts)
    selection, train = (normalised_rows(rows, columns) for rows in (training.selection, training.train))
    return kinship(selection, train)


def load_task_data(task: TaskSpec, source: Source) -> TaskData:
    """A task's two splits, read and described.

    Raises:
        DataError: As `load_training_data`.
    """
    return describe_task_data(task, load_training_data(task, source), load_report_data(task, source))


def read_split(task: TaskSpec, source: Source, split: str) -> Examples:
    """Every example of one split, whichever it is, checked.

    Raises:
        DataError: As `load_task_data`.
    """
    dataset = task.dataset
    if dataset.files is None:
        table = source.table(hub=dataset.hub, config=dataset.config, revision=dataset.revision, split=split)
    elif split in dataset.files:
        table = source.table(file=dataset.files[split], split=split)
    else:
        raise DataError(
            f"task {task.name}: dataset.files has no file for split '{split}'. {did_you_mean(split, dataset.files)}"
        )
    return read_examples(task, table, split)


def _check_classes(task: TaskSpec, part: str, examples: Examples) -> None:
    if part != "selection" and isinstance(task, Classification) and len(set(examples.numbers.tolist())) < 2:
        raise DataError(
            f"task {task.name}: the {len(examples)} {part} examples are all of one label. "
            f"Raise max_{part} to at least {len(task.labels)}, or add rows of the other labels."
        )


def _balance(task: TaskSpec, examples: Examples) -> dict[str, int]:
    if isinstance(task, Classification):
        numbers = Counter(examples.numbers.tolist())
        return {label: numbers[number] for number, label in enumerate(task.labels)}
    if isinstance(task, QuestionAnswering):
        num_answerable = sum(answers.is_answerable for answers in examples.answers)
        return {"answerable": num_answerable, "unanswerable": len(examples) - num_answerable}
    return {}


def _fingerprint(examples: Examples) -> str:
    columns: dict[str, pa.Array] = {"id": pa.array(examples.ids, pa.string())}
    for column, texts in examples.texts.items():
        columns[f"text {column}"] = pa.array(texts, pa.string())
    if isinstance(examples.targets, tuple):
        columns["answers"] = pa.array([[list(a.texts), [str(s) for s in a.starts]] for a in examples.targets])
    else:
        columns["target"] = pa.array(examples.targets)
    return table_fingerprint(pa.table(columns), list(columns))
