"""What a study's own files hold: their bytes, for the ids of jobs, and rows and their length, for predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tunescope.errors import DataError, StudyError
from tunescope.hub.source import Source
from tunescope.study.spec import StudySpec
from tunescope.tasks.spec import Expected, TaskSpec

if TYPE_CHECKING:
    import pyarrow as pa

_CHARACTERS_PER_TOKEN = 4.0
"""English under a vocabulary of about 32,000, as in the catalogue's `mean_tokens`."""
_SAMPLE = 2000


def own_files_sha256(study: StudySpec, source: Source, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Data file as the study names it -> SHA-256 of its bytes.

    Args:
        study: The study.
        source: Where its files are.
        known: What an earlier run found, for files that are no longer there.

    Raises:
        DataError: If a file is not there, and not known.
        StudyError: If a task's report rows are its train rows: the study would report memory as skill.
    """
    files = {file for task in study.tasks for file in (task.dataset.files or {}).values()}
    texts = () if study.retention is None else study.retention.texts
    files |= {text.file for text in texts if text.file is not None}
    hashes = {file: _sha256(file, source, known or {}) for file in sorted(files)}
    _refuse_equal_splits(study, hashes)
    return hashes


def with_own_rows(study: StudySpec, source: Source) -> StudySpec:
    """The study with `expected` filled in for tasks that have files and do not say what is in them.

    A task whose columns are not in its files stays as it is: reading its rows tells what is wrong.

    Raises:
        DataError: If a file cannot be read.
    """
    tasks = tuple(_with_own_rows(task, source) for task in study.tasks)
    return study if tasks == study.tasks else study.model_copy(update={"tasks": tasks})


def mean_tokens(characters: float) -> float:
    """Tokens of a text of so many characters under a vocabulary of about 32,000."""
    return 1.0 + characters / _CHARACTERS_PER_TOKEN


def _sha256(file: str, source: Source, known: Mapping[str, str]) -> str:
    try:
        return source.file_sha256(file)
    except DataError:
        if file in known:
            return known[file]
        raise


def _refuse_equal_splits(study: StudySpec, hashes: Mapping[str, str]) -> None:
    problems = []
    for task in study.tasks:
        files = task.dataset.files or {}
        train, report = files.get(task.train_split), files.get(task.report_split)
        if train is not None and report is not None and hashes[train] == hashes[report]:
            problems.append(
                f"tasks.{task.name}.dataset.files: {task.train_split} ({train}) and {task.report_split} ({report}) hold the "
                "same bytes, and runs are reported on rows that they never saw. Give one of them other rows"
            )
    if problems:
        raise StudyError(problems)


def _with_own_rows(task: TaskSpec, source: Source) -> TaskSpec:
    files = task.dataset.files
    if task.expected is not None or files is None:
        return task
    train, report = (source.table(file=files[split], split=split) for split in (task.train_split, task.report_split))
    columns = (task.question, task.context) if task.kind == "question_answering" else task.text_columns
    if not train.num_rows or not report.num_rows or set(columns) - set(train.column_names):
        return task
    expected = Expected(
        num_train=train.num_rows,
        num_report=report.num_rows,
        mean_tokens=mean_tokens(sum(_mean_characters(train, column) for column in columns)),
    )
    return task.model_copy(update={"expected": expected})


def _mean_characters(table: pa.Table, column: str) -> float:
    """Of some rows of a column, evenly spread over it."""
    step = -(-table.num_rows // _SAMPLE)
    texts = [str(table[column][row].as_py() or "") for row in range(0, table.num_rows, step)]
    return sum(map(len, texts)) / len(texts)
