"""Every way in which a row can differ from what its task declares, and the message it gets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tunescope.errors import DataError
from tunescope.tasks.rows import read_examples
from tunescope.tasks.spec import Classification, Dataset, QuestionAnswering, Regression, TaskSpec

FILES = Dataset(files={"train": "train.csv", "validation": "validation.csv"})
PAIRS = Classification(
    name="pairs",
    dataset=FILES,
    text="first",
    text_pair="second",
    labels=("different", "same"),
    max_characters=100_000 - 1,
)
STARS = Regression(name="stars", dataset=FILES, score="stars")
QUIZ = QuestionAnswering(name="quiz", dataset=FILES)
FLAT = QuestionAnswering(name="flat", dataset=FILES, id=None, answer_text="answer", answer_start="start")

CONTEXT = "Ann lives in Rome. Bob lives in Oslo."


def pairs(labels: list[Any], **columns: Any) -> pa.Table:
    n = len(labels)
    texts = {"first": [f"a{i}" for i in range(n)], "second": [f"b{i}" for i in range(n)]}
    return pa.table(texts | {"label": labels} | columns)


def quiz(answers: list[Any], **columns: Any) -> pa.Table:
    n = len(answers)
    base = {"id": [f"q{i}" for i in range(n)], "question": [f"Where? {i}" for i in range(n)], "context": [CONTEXT] * n}
    return pa.table(base | {"answers": answers} | columns)


ROME = {"text": ["Rome", "in Rome"], "answer_start": [13, 10]}
NONE: dict[str, list[Any]] = {"text": [], "answer_start": []}


def test_text_examples_have_row_numbers_for_ids_and_columns_in_reading_order() -> None:
    table = pa.table({"label": [1, 0], "second": ["b", "d"], "first": ["a", "c"]})

    examples = read_examples(PAIRS, table, "train")

    assert examples.ids == ("train-0", "train-1")
    assert list(examples.texts.items()) == [("first", ("a", "c")), ("second", ("b", "d"))]
    assert examples.numbers.tolist() == [1, 0]
    assert examples.numbers.dtype == np.int64
    assert examples.take([1]).ids == ("train-1",)
    assert examples.take([1]).texts["second"] == ("d",)
    assert examples.take([1]).numbers.tolist() == [0]


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 1],
        [0.0, 1.0, 1.0],
        [False, True, True],
        ["0", "1", "1"],
        ["0.0", "1.0", " 1"],
        ["different", "same", "same"],
        ["different", "same", " 1.0 "],
        ["False", "true", "True"],
        [Decimal(0), Decimal(1), Decimal("1.0")],
    ],
)
def test_labels_are_names_or_ids_however_written(labels: list[Any]) -> None:
    assert read_examples(PAIRS, pairs(labels), "train").numbers.tolist() == [0, 1, 1]


@pytest.mark.parametrize("stars", [[1, 3, 2], ["1", "3", "2"], [1.0, 3.0, 2.0], ["1.0", "3", "2"]])
def test_a_name_goes_before_an_id(stars: list[Any]) -> None:
    task = Classification(name="stars", dataset=FILES, labels=("1", "2", "3"))

    assert read_examples(task, pa.table({"text": list("abc"), "label": stars}), "train").numbers.tolist() == [0, 2, 1]


@pytest.mark.parametrize("scores", [[1.5, -2.0], ["1.5", "-2"], [1.5, -2], [Decimal("1.5"), Decimal("-2.0")]])
def test_scores_are_numbers_however_written(scores: list[Any]) -> None:
    examples = read_examples(STARS, pa.table({"text": ["a", "b"], "stars": scores}), "train")

    assert examples.numbers.tolist() == [1.5, -2.0]
    assert examples.numbers.dtype == np.float64


def test_questions_keep_their_ids_and_all_answers() -> None:
    examples = read_examples(QUIZ, quiz([ROME, NONE]), "validation")

    assert examples.ids == ("q0", "q1")
    assert examples.answers[0].texts == ("Rome", "in Rome")
    assert examples.answers[0].starts == (13, 10)
    assert [answers.is_answerable for answers in examples.answers] == [True, False]


@pytest.mark.parametrize("starts", [[13, None, None], ["13", "", ""], [13.0, float("nan"), None]])
def test_flat_files_have_one_answer_a_row(starts: list[Any]) -> None:
    table = quiz([None, None, None], answer=["Rome", "", None], start=starts).drop_columns(["id", "answers"])

    examples = read_examples(FLAT, table, "train")

    assert examples.ids == ("train-0", "train-1", "train-2")
    assert [(answers.texts, answers.starts) for answers in examples.answers] == [(("Rome",), (13,)), ((), ()), ((), ())]


LABELS = r"expected one of different \(0\), same \(1\), found"
BROKEN: dict[str, tuple[TaskSpec, pa.Table, str]] = {
    "missing column": (
        PAIRS,
        pa.table({"first": ["a"], "secnd": ["b"]}),
        r"task pairs: split 'train' has no column 'second' \(nor label\)\. Did you mean 'secnd'\? Known: first, secnd\.",
    ),
    "missing score": (STARS, pa.table({"text": ["a"]}), "no column 'stars'"),
    "missing answers": (QUIZ, quiz([ROME]).drop_columns("answers"), "no column 'answers'"),
    "missing id": (QUIZ, quiz([ROME]).drop_columns("id"), "no column 'id'"),
    "missing flat answer": (FLAT, quiz([ROME]), r"no column 'answer' \(nor start\)\. Did you mean 'answers'\?"),
    "empty split": (PAIRS, pairs([0]).slice(0, 0), "task pairs: split 'train' is empty: expected at least one row"),
    "null text": (
        PAIRS,
        pairs([0, 1], second=["b", None]),
        r"row 1 \(counted from 0\), column 'second': expected text, found null",
    ),
    "text of zero length": (
        PAIRS,
        pairs([0, 1], first=["", "a"]),
        "row 0 .* column 'first': expected text, found text of zero length",
    ),
    "blank text": (PAIRS, pairs([0, 1], first=["a", " \n"]), "row 1 .* expected text, found only white space"),
    "a number for text": (PAIRS, pairs([0, 1], first=[3, 4]), "expected text, found int 3"),
    "100,000 characters": (
        PAIRS,
        pairs([0, 1], first=["a", "x" * 100_000]),
        "row 1 .* column 'first': expected at most 99999 characters, found 100000. Is a quote left open before it",
    ),
    "null label": (PAIRS, pairs([0, None, 1]), f"row 1 .* column 'label': {LABELS} null. Label the row or drop it"),
    "empty label": (PAIRS, pairs(["same", ""]), f"row 1 .* {LABELS} ''. Label the row or drop it"),
    "NaN label": (PAIRS, pairs([0.0, float("nan")]), f"row 1 .* {LABELS} NaN"),
    "unknown label name": (
        PAIRS,
        pairs(["same", "sam"]),
        f"row 1 .* {LABELS} unknown label 'sam'. Did you mean 'same'",
    ),
    "unknown label id": (PAIRS, pairs([0, 1, 2]), f"row 2 .* {LABELS} unknown label 2"),
    "half a label": (PAIRS, pairs([0, 1.5]), f"row 1 .* {LABELS} unknown label 1.5"),
    "infinite label": (PAIRS, pairs([0, float("inf")]), f"row 1 .* {LABELS} unknown label inf"),
    "hidden labels": (
        PAIRS,
        pairs([-1, -1]),
        f"row 0 .* {LABELS} -1. -1 marks hidden labels: split 'train' is unlabelled",
    ),
    "one class": (PAIRS, pairs(["same", "1"]), "at least two of the labels, found only 'same' in all 2 rows"),
    "null score": (
        STARS,
        pa.table({"text": ["a", "b"], "stars": [1.0, None]}),
        "row 1 .* expected a finite number, found null",
    ),
    "NaN score": (STARS, pa.table({"text": ["a", "b"], "stars": [1.0, float("nan")]}), "found NaN"),
    "infinite score": (
        STARS,
        pa.table({"text": ["a", "b"], "stars": ["1", "inf"]}),
        "expected a finite number, found 'inf'",
    ),
    "a word for a score": (STARS, pa.table({"text": ["a", "b"], "stars": ["1", "two"]}), "found 'two'"),
    "bool scores": (STARS, pa.table({"text": ["a", "b"], "stars": [True, False]}), "found True"),
    "one score": (
        STARS,
        pa.table({"text": ["a", "b"], "stars": [2, 2]}),
        "expected scores that differ, found 2.0 in all 2 rows",
    ),
    "answers as text": (
        QUIZ,
        quiz(["Rome", "Oslo"]),
        r"row 0 .* expected {text: .*, answer_start: .*}, found 'Rome'. In a flat file",
    ),
    "null answers": (QUIZ, quiz([ROME, None]), "row 1 .* found null"),
    "answer elsewhere": (
        QUIZ,
        quiz([{"text": ["Rome"], "answer_start": [12]}]),
        "row 0 .* column 'answers': expected 'Rome' at character 12 of the context, found ' Rom'. The text stands at 13",
    ),
    "answer nowhere": (
        QUIZ,
        quiz([{"text": ["Paris"], "answer_start": [13]}]),
        "found 'Rome.'. The text is nowhere in the context",
    ),
    "answer past the end": (
        QUIZ,
        quiz([{"text": ["Oslo."], "answer_start": [400]}]),
        "at character 400 of the context, found ''",
    ),
    "negative start": (QUIZ, quiz([{"text": ["Rome"], "answer_start": [-24]}]), "first character, from 0, found -24"),
    "no start": (QUIZ, quiz([{"text": ["Rome"], "answer_start": [None]}]), "first character, from 0, found null"),
    "more texts than starts": (
        QUIZ,
        quiz([{"text": ["Rome", "in"], "answer_start": [13]}]),
        "a start for each text, found 2 texts, 1 starts",
    ),
    "blank answer": (
        QUIZ,
        quiz([{"text": [" "], "answer_start": [3]}]),
        "expected an answer's text, found ' '. No answer is an empty list",
    ),
    "flat answer without start": (
        FLAT,
        pa.table({"question": ["q"], "context": [CONTEXT], "answer": ["Rome"], "start": [""]}),
        "column 'answer': expected an answer's first character, from 0, found ''",
    ),
    "blank context": (QUIZ, quiz([NONE], context=[" "]), "column 'context': expected text, found only white space"),
    "duplicate ids": (
        QUIZ,
        quiz([ROME, NONE], id=["q", "q"]),
        "row 1 .* an id of its own, found 'q' again. Row 0 has it too",
    ),
    "a list for a label": (PAIRS, pairs([[1], [0]]), f"row 0 .* {LABELS} unknown label \\[1\\]"),
    "a map for a label": (PAIRS, pairs([{"a": 1}, {"a": 0}]), f"row 0 .* {LABELS} unknown label {{'a': 1}}"),
    "a label as Python writes numbers": (PAIRS, pairs(["0_0", "1"]), f"row 0 .* {LABELS} unknown label '0_0'"),
    "one answer without brackets": (
        QUIZ,
        quiz([{"text": "Rome", "answer_start": 13}]),
        "row 0 .* expected lists, {text: \\[...\\], answer_start: \\[...\\]}, found .*Put one answer in brackets too",
    ),
    "null id": (QUIZ, quiz([ROME, NONE], id=["q", None]), "row 1 .* expected an id, found null. Set 'id: null'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_first_broken_row_is_named(case: str) -> None:
    task, table, message = BROKEN[case]

    with pytest.raises(DataError, match=message) as caught:
        read_examples(task, table, "train")

    assert str(caught.value).startswith(f"task {task.name}: split 'train'")
    assert "\n" not in str(caught.value)
