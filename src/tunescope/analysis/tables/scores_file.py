"""A file of scores, ours or anyone's -> one frozen table: a row per method, task, metric and seed.

Three kinds of rows are known by their columns:

- scores: `method` and `score`; `task`, `metric`, `seed`, `num_examples` where there are any;
- answers: `method`, `example_id` and `correct` (or `score`): one row per example; `task`, `metric`, `seed` where there are any;
- our own: what `tunescope results --format csv`, `json` or `parquet` writes. Its baselines are left out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunescope.analysis.tables.direction import is_loss
from tunescope.errors import DataError
from tunescope.hub.tables import read_table
from tunescope.tasks.scores import SCORES

_SHARES_OF_EXAMPLES = frozenset({"accuracy", "squad_exact"})
"""Those of our own scores that are a number of right answers divided by the number of examples."""
_LEAST_PERCENT = 10.0
"""A score above it, beside one of 1 or less, suggests that two units are mixed."""
_OUR_COLUMNS = frozenset({"kind", "method", "metric", "seed", "state", "task", "value"})
_TRUTH = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}
_KNOWN_KINDS = (
    "method, score (and task, metric, seed, num_examples where there are any); or method, example_id, correct "
    "(and task, metric, seed); or the columns of `tunescope results --format csv`"
)


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One method's score on one task with one seed."""

    method: str
    task: str
    """Empty where the source names none."""
    metric: str
    seed: int | None
    value: float | None
    """In the metric's own unit; None where there is none, and `reason` says why."""
    num_examples: int | None = None
    """Set only where `value` is a mean over so many examples of something between 0 and 1."""
    by_example: Mapping[str, float] | None = None
    """What each example scored, by its id; `value` is the mean."""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """All that a source says of its methods."""

    source: str
    rows: tuple[ScoreRow, ...]
    notes: tuple[str, ...] = ()
    """What had to be assumed or left out in reading it."""


def read_scores_file(path: Path) -> ScoreTable:
    """The scores of a CSV, TSV, JSON-lines or Parquet file.

    Raises:
        DataError: If the file is missing, unreadable or empty, a column is missing, a value is not what its column holds, or
            two rows say the same thing of the same method, task, metric and seed.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Give a file of scores, or a folder of PEFT's method-comparison results."
        )
    table = read_table(path)
    columns = tuple(table.column_names)
    records: list[dict[str, Any]] = table.to_pylist()
    if not records:
        raise DataError(f"{path}: expected a row per score, found none. Columns: {', '.join(columns)}.")
    if "value" in columns and "score" not in columns:
        return _our_results(path, columns, records)
    _require(path, columns, ["method"])
    if "example_id" in columns:
        return _answers(path, columns, records)
    _require(path, columns, ["score"])
    return _scores(path, columns, records)


def _scores(path: Path, columns: Sequence[str], records: Sequence[dict[str, Any]]) -> ScoreTable:
    reader = _Reader(path)
    rows = []
    for place, record in enumerate(records, start=1):
        metric = reader.text(place, record, "metric") or "score"
        value = reader.number(place, record, "score")
        rows.append(
            ScoreRow(
                method=reader.name(place, record, "method"),
                task=reader.text(place, record, "task"),
                metric=metric,
                seed=reader.whole(place, record, "seed"),
                value=value,
                num_examples=_examples(reader, place, record, metric, value, "score"),
                reason="" if value is not None else f"row {place} holds no score",
            )
        )
    _refuse_duplicates(path, rows)
    return ScoreTable(source=str(path), rows=tuple(rows), notes=(*_notes_of_counts(rows), *_notes_of_units(rows)))


def _our_results(path: Path, columns: Sequence[str], records: Sequence[dict[str, Any]]) -> ScoreTable:
    _require(path, columns, sorted(_OUR_COLUMNS))
    reader = _Reader(path)
    models = {reader.text(place, record, "base_model") for place, record in enumerate(records, start=1)} - {""}
    rows, num_left_out = [], 0
    for place, record in enumerate(records, start=1):
        kind = reader.name(place, record, "kind")
        if kind != "run":
            num_left_out += 1
            continue
        metric, state = reader.name(place, record, "metric"), reader.name(place, record, "state")
        value = reader.number(place, record, "value")
        if state != "done":
            value = None
        task = reader.name(place, record, "task")
        reason = reader.text(place, record, "reason")
        rows.append(
            ScoreRow(
                method=reader.name(place, record, "method"),
                task=f"{task} ({reader.text(place, record, 'base_model')})" if len(models) > 1 else task,
                metric=metric,
                seed=reader.whole(place, record, "seed"),
                value=value,
                num_examples=_examples(reader, place, record, metric, value, "value"),
                reason="" if value is not None else f"{state}: {reason or f'row {place} holds no value'}",
            )
        )
    if not rows:
        raise DataError(
            f"{path}: expected rows of kind 'run', found {len(records)} of other kinds only. "
            "Trials and baselines are not compared: write the file with `tunescope results STUDY --format csv`."
        )
    _refuse_duplicates(path, rows)
    left_out = (f"left out: {num_left_out} rows of baselines or trials",) if num_left_out else ()
    return ScoreTable(source=str(path), rows=tuple(rows), notes=(*left_out, *_notes_of_counts(rows)))


def _answers(path: Path, columns: Sequence[str], records: Sequence[dict[str, Any]]) -> ScoreTable:
    column = "correct" if "correct" in columns else "score"
    _require(path, columns, ["method", "example_id", column])
    reader = _Reader(path)
    answers: defaultdict[tuple[str, str, str, int | None], dict[str, float]] = defaultdict(dict)
    for place, record in enumerate(records, start=1):
        metric = reader.text(place, record, "metric") or ("accuracy" if column == "correct" else "score")
        key = (
            reader.name(place, record, "method"),
            reader.text(place, record, "task"),
            metric,
            reader.whole(place, record, "seed"),
        )
        example = reader.name(place, record, "example_id")
        if example in answers[key]:
            raise DataError(
                f"{path}: row {place}: {_named(*key)} has example '{example}' twice. Keep one row for each."
            )
        answers[key][example] = reader.answer(place, record, column)
    _refuse_unequal_examples(path, answers)
    rows = [
        ScoreRow(
            method=method,
            task=task,
            metric=metric,
            seed=seed,
            value=math.fsum(values.values()) / len(values),
            num_examples=len(values),
            by_example=values,
        )
        for (method, task, metric, seed), values in answers.items()
    ]
    _refuse_duplicates(path, rows)
    return ScoreTable(source=str(path), rows=tuple(rows))


class _Reader:
    """Takes values out of rows, and says which row and column holds a wrong one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def text(self, place: int, record: dict[str, Any], column: str) -> str:
        value = record.get(column)
        return "" if value is None else str(value).strip()

    def name(self, place: int, record: dict[str, Any], column: str) -> str:
        found = self.text(place, record, column)
        if not found:
            raise DataError(f"{self.path}: row {place}: column '{column}' is empty. Every row names its {column}.")
        return found

    def number(self, place: int, record: dict[str, Any], column: str) -> float | None:
        """None where the field is empty."""
        found = self.text(place, record, column)
        if not found:
            return None
        try:
            value = float(found)
        except ValueError as error:
            raise self.wrong(place, column, "a number", found) from error
        if not math.isfinite(value):
            raise self.wrong(place, column, "a finite number", found)
        return value

    def whole(self, place: int, record: dict[str, Any], column: str) -> int | None:
        value = self.number(place, record, column)
        if value is not None and value != int(value):
            raise self.wrong(place, column, "a whole number", self.text(place, record, column))
        return None if value is None else int(value)

    def answer(self, place: int, record: dict[str, Any], column: str) -> float:
        found = self.text(place, record, column)
        if column == "score":
            value = self.number(place, record, column)
            if value is None:
                raise self.wrong(place, column, "a number", "nothing")
            return value
        value = _TRUTH.get(found.lower().removesuffix(".0"))
        if value is None:
            raise self.wrong(place, column, "0, 1, true or false", found)
        return value

    def wrong(self, place: int, column: str, expected: str, found: str) -> DataError:
        return DataError(
            f"{self.path}: row {place}: column '{column}' holds '{found}', expected {expected}. "
            "Correct it; leave it empty where there is no number, as of a failed run."
        )


def _examples(
    reader: _Reader, place: int, record: dict[str, Any], metric: str, value: float | None, column: str
) -> int | None:
    """How many examples the score is a share of; None where that is not said or the score is no share."""
    count = reader.whole(place, record, "num_examples")
    if count is None or is_loss(metric) or (metric in SCORES and metric not in _SHARES_OF_EXAMPLES):
        return None
    if count < 1:
        raise reader.wrong(place, "num_examples", "1 or more", str(count))
    if value is not None and not 0 <= value <= 1:
        percent = f" {value:g} looks like percent: divide by 100." if 1 < value <= 100 else ""
        raise DataError(
            f"{reader.path}: row {place}: column '{column}' holds {value:g}, expected a share between 0 and 1, as num_examples "
            f"({count:,}) is given.{percent} Leave num_examples empty where {metric} is no share of examples."
        )
    return count


def _require(path: Path, columns: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DataError(
            f"{path}: column '{missing[0]}' is missing. Expected {_KNOWN_KINDS}. Found: {', '.join(columns)}."
        )


def _refuse_duplicates(path: Path, rows: Sequence[ScoreRow]) -> None:
    seen: set[tuple[str, str, str, int | None]] = set()
    for row in rows:
        key = (row.method, row.task, row.metric, row.seed)
        if key in seen:
            raise DataError(
                f"{path}: {_named(*key)} has two rows. Keep one; where they are runs of their own, tell them apart by 'seed'."
            )
        seen.add(key)
    for method, task, metric, seed in sorted((*key[:3], None) for key in seen if key[3] is None):
        if sum(key[:3] == (method, task, metric) for key in seen) > 1:
            raise DataError(
                f"{path}: {_named(method, task, metric, seed)} has rows with and without a seed. Name the seed in all of them."
            )


def _refuse_unequal_examples(
    path: Path, answers: Mapping[tuple[str, str, str, int | None], Mapping[str, float]]
) -> None:
    """Pairing needs that every method and seed of a task and metric answered the same examples."""
    firsts: dict[tuple[str, str], tuple[str, str, str, int | None]] = {}
    for key, found in answers.items():
        first = firsts.setdefault(key[1:3], key)
        odd = sorted(set(found) ^ set(answers[first]))
        if odd:
            raise DataError(
                f"{path}: {_named(*first)} has {len(answers[first])} examples and {_named(*key)} has {len(found)}; "
                f"{len(odd)} are in only one of them, such as {', '.join(odd[:3])}. "
                "Methods are compared on the same examples: add what is missing or take the others out."
            )


def _notes_of_counts(rows: Sequence[ScoreRow]) -> tuple[str, ...]:
    """Said of counts that are used, which those of several seeds are not."""
    num_seeds = Counter((row.method, row.task, row.metric) for row in rows)
    uneven = [
        row
        for row in rows
        if row.num_examples is not None
        and num_seeds[row.method, row.task, row.metric] == 1
        and row.value is not None
        and abs(row.value * row.num_examples - round(row.value * row.num_examples)) > 1e-6 * row.num_examples
    ]
    if not uneven:
        return ()
    return (
        f"{len(uneven)} of {len(rows)} scores are no whole number of num_examples (rounded in the file, or graded by example): "
        "the nearest whole number of right answers is taken",
    )


def _notes_of_units(rows: Sequence[ScoreRow]) -> list[str]:
    """Said where some scores look like percent and others like shares of one."""
    by_metric: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row.value is not None:
            by_metric[row.task, row.metric].append(row.value)
    return [
        f"{' '.join(part for part in key if part)}: scores from {min(values):g} to {max(values):g}: are percent and shares of one "
        "mixed? Differences between the two would be of the unit, not of the methods"
        for key, values in by_metric.items()
        if 0.0 < min(values) <= 1.0 and _LEAST_PERCENT < max(values) <= 100.0 and not is_loss(key[1])
    ]


def _named(method: str, task: str, metric: str, seed: int | None) -> str:
    return " ".join(part for part in (task, method, metric, "" if seed is None else f"seed {seed}") if part)
