"""Rows of a table become examples; the first row that is not what the task declares is refused, with its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tunescope.errors import DataError, did_you_mean
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.spec import Classification, QuestionAnswering, Regression, TaskSpec

if TYPE_CHECKING:
    import pyarrow as pa


def text_columns(task: TaskSpec) -> tuple[str, ...]:
    """Columns of a task's texts, in the order a model reads them."""
    return (task.question, task.context) if isinstance(task, QuestionAnswering) else task.text_columns


def read_examples(task: TaskSpec, table: pa.Table, split: str) -> Examples:
    """The examples of a split, every row checked.

    Args:
        task: What the columns mean.
        table: The split's rows.
        split: Its name, for ids and messages.

    Raises:
        DataError: For the first thing that is wrong: a column missing; no rows; a text that is null, blank, too long or
            no text; a label that is null, hidden or unknown, or the same in every row; a score that is no finite number;
            an answer that does not stand in its context where it should; an id that is null or there twice.
    """
    _check_columns(task, table, split)
    if table.num_rows == 0:
        raise DataError(f"task {task.name}: split '{split}' is empty: expected at least one row.")
    texts = {column: _texts(task, table, split, column) for column in text_columns(task)}
    ids = tuple(f"{split}-{row}" for row in range(table.num_rows))
    targets: np.ndarray | tuple[Answers, ...]
    if isinstance(task, Classification):
        targets = _labels(task, table, split)
    elif isinstance(task, Regression):
        targets = _scores(task, table, split)
    else:
        targets = _answers(task, table, split, texts[task.context])
        if task.id is not None:
            ids = _ids(task, table, split, task.id)
    return Examples(ids=ids, texts=texts, targets=targets)


def _check_columns(task: TaskSpec, table: pa.Table, split: str) -> None:
    needed = list(text_columns(task))
    if isinstance(task, Classification):
        needed.append(task.label)
    elif isinstance(task, Regression):
        needed.append(task.score)
    else:
        needed += [column for column in (task.id,) if column is not None]
        if task.answer_text is not None and task.answer_start is not None:
            needed += [task.answer_text, task.answer_start]
        else:
            needed.append(task.answers)
    missing = [column for column in needed if column not in table.column_names]
    if missing:
        also = f" (nor {', '.join(missing[1:])})" if missing[1:] else ""
        raise DataError(
            f"task {task.name}: split '{split}' has no column '{missing[0]}'{also}. "
            f"{did_you_mean(missing[0], table.column_names)}"
        )


def _texts(task: TaskSpec, table: pa.Table, split: str, column: str) -> tuple[str, ...]:
    values = table.column(column).to_pylist()
    for row, value in enumerate(values):
        if not isinstance(value, str):
            found = "null" if value is None else f"{type(value).__name__} {value!r}"
            _refuse(task, split, row, column, "text", found, "Fill in the text or drop the row.")
        if not value.strip():
            found = "text of zero length" if not value else "only white space"
            _refuse(task, split, row, column, "text", found, "Fill in the text or drop the row.")
        if len(value) > task.max_characters:
            _refuse(
                task,
                split,
                row,
                column,
                f"at most {task.max_characters} characters",
                f"{len(value)}",
                "Is a quote left open before it? If the text is meant, raise max_characters.",
            )
    return tuple(values)


def _labels(task: Classification, table: pa.Table, split: str) -> np.ndarray:
    known: dict[tuple[type, Any], int] = {}
    ids: list[int] = []
    for row, value in enumerate(table.column(task.label).to_pylist()):
        if isinstance(value, list | dict):
            _refuse_label(task, split, row, value)
        value = float(value) if isinstance(value, Decimal) else value
        key = (type(value), value)
        if key not in known:
            label = _label_id(value, task.labels)
            if label is None:
                _refuse_label(task, split, row, value)
            known[key] = label
        ids.append(known[key])
    if len(set(ids)) == 1:
        raise DataError(
            f"task {task.name}: split '{split}', column '{task.label}': expected at least two of the labels, found only "
            f"'{task.labels[ids[0]]}' in all {len(ids)} rows. Is the file sorted by label and cut?"
        )
    return np.array(ids, dtype=np.int64)


def _label_id(value: object, labels: Sequence[str]) -> int | None:
    """A label's name, or else its id as int, whole float, bool or text of one of these; None for anything else.

    A name goes before an id, so that stars named "1" to "5" mean the same as numbers and as text.
    """
    if isinstance(value, str):
        if value in labels:
            return labels.index(value)
        word = value.strip()
        if word in labels:
            return labels.index(word)
        value = {"true": 1.0, "false": 0.0}.get(word.lower(), _number(word))
    elif isinstance(value, (bool, int, float)):
        for name in (str(value), str(value).lower()):
            if name in labels:
                return labels.index(name)
    if not isinstance(value, (bool, int, float)) or not math.isfinite(value) or int(value) != value:
        return None
    if str(int(value)) in labels:
        return labels.index(str(int(value)))
    return int(value) if 0 <= value < len(labels) else None


def _refuse_label(task: Classification, split: str, row: int, value: object) -> NoReturn:
    known = ", ".join(f"{name} ({number})" for number, name in enumerate(task.labels))
    if _is_null(value):
        _refuse(task, split, row, task.label, f"one of {known}", _shown(value), "Label the row or drop it.")
    if value in (-1, "-1"):
        advice = f"-1 marks hidden labels: split '{split}' is unlabelled, choose a labelled one."
        _refuse(task, split, row, task.label, f"one of {known}", _shown(value), advice)
    guess = did_you_mean(value, task.labels) if isinstance(value, str) else "Add the label to 'labels' or drop the row."
    _refuse(task, split, row, task.label, f"one of {known}", f"unknown label {_shown(value)}", guess)


def _scores(task: Regression, table: pa.Table, split: str) -> np.ndarray:
    scores: list[float] = []
    for row, value in enumerate(table.column(task.score).to_pylist()):
        number = _number(value) if isinstance(value, str) else float(value) if isinstance(value, Decimal) else value
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            _refuse(
                task, split, row, task.score, "a finite number", _shown(value), "Fill in the score or drop the row."
            )
        scores.append(float(number))
    if len(set(scores)) == 1:
        raise DataError(
            f"task {task.name}: split '{split}', column '{task.score}': expected scores that differ, found {scores[0]} in "
            f"all {len(scores)} rows."
        )
    return np.array(scores, dtype=np.float64)


def _answers(task: QuestionAnswering, table: pa.Table, split: str, contexts: Sequence[str]) -> tuple[Answers, ...]:
    found: list[Answers] = []
    if task.answer_text is not None and task.answer_start is not None:
        columns = table.column(task.answer_text).to_pylist(), table.column(task.answer_start).to_pylist()
        for row, (text, start) in enumerate(zip(*columns, strict=True)):
            if text is None or text == "":
                found.append(Answers())
            else:
                found.append(_checked(task, split, row, task.answer_text, contexts[row], [text], [start]))
        return tuple(found)
    for row, value in enumerate(table.column(task.answers).to_pylist()):
        if not isinstance(value, dict) or not {"text", "answer_start"} <= value.keys():
            _refuse(
                task,
                split,
                row,
                task.answers,
                "{text: [...], answer_start: [...]}",
                _shown(value),
                "In a flat file give one answer a row and name its columns as answer_text and answer_start.",
            )
        texts, starts = value["text"] or [], value["answer_start"] or []
        if not isinstance(texts, list) or not isinstance(starts, list):
            _refuse(
                task,
                split,
                row,
                task.answers,
                "lists, {text: [...], answer_start: [...]}",
                _shown(value),
                "Put one answer in brackets too.",
            )
        found.append(_checked(task, split, row, task.answers, contexts[row], texts, starts))
    return tuple(found)


def _checked(
    task: QuestionAnswering, split: str, row: int, column: str, context: str, texts: list[Any], starts: list[Any]
) -> Answers:
    if len(texts) != len(starts):
        _refuse(task, split, row, column, "a start for each text", f"{len(texts)} texts, {len(starts)} starts", "")
    places: list[int] = []
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not text.strip():
            _refuse(task, split, row, column, "an answer's text", _shown(text), "No answer is an empty list.")
        place = _number(start) if isinstance(start, str) else start
        if isinstance(place, bool) or not isinstance(place, (int, float)) or place < 0 or place != place // 1:
            _refuse(task, split, row, column, "an answer's first character, from 0", _shown(start), "")
        there = context[int(place) : int(place) + len(text)]
        if there != text:
            elsewhere = context.find(text)
            advice = (
                f"The text stands at {elsewhere}: starts count characters, not bytes or words."
                if elsewhere >= 0
                else "The text is nowhere in the context."
            )
            _refuse(
                task,
                split,
                row,
                column,
                f"{_shown(text)} at character {int(place)} of the context",
                _shown(there),
                advice,
            )
        places.append(int(place))
    return Answers(texts=tuple(texts), starts=tuple(places))


def _ids(task: QuestionAnswering, table: pa.Table, split: str, column: str) -> tuple[str, ...]:
    rows: dict[str, int] = {}
    for row, value in enumerate(table.column(column).to_pylist()):
        if _is_null(value):
            _refuse(task, split, row, column, "an id", _shown(value), "Set 'id: null' to number the rows.")
        name = str(value)
        if name in rows:
            advice = f"Row {rows[name]} has it too. Set 'id: null' to number the rows."
            _refuse(task, split, row, column, "an id of its own", f"'{name}' again", advice)
        rows[name] = row
    return tuple(rows)


def _number(word: str) -> float | None:
    try:
        return None if "_" in word else float(word)  # Python reads 1_0 as ten
    except ValueError:
        return None


def _is_null(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    word = repr(value)
    return word if len(word) <= 80 else f"{word[:77]}..."


def _refuse(task: TaskSpec, split: str, row: int, column: str, expected: str, found: str, advice: str) -> NoReturn:
    raise DataError(
        f"task {task.name}: split '{split}', row {row} (counted from 0), column '{column}': expected {expected}, "
        f"found {found}. {advice}".rstrip()
    )
