"""A model is never shown the column that it is to predict."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tunescope.tasks.spec import TaskSpec

FILES: dict[str, Any] = {"name": "t", "dataset": {"files": {"train": "t.csv", "validation": "v.csv"}}}
LABELS: dict[str, Any] = {"kind": "classification", "labels": ["bad", "good"]}
NUMBER: dict[str, Any] = {"kind": "regression"}
ANSWER: dict[str, Any] = {"kind": "question_answering"}
FLAT = ANSWER | {"answer_text": "answer", "answer_start": "start"}


def parsed(task: dict[str, Any]) -> TaskSpec:
    found: TaskSpec = TypeAdapter(TaskSpec).validate_python(FILES | task)
    return found


@pytest.mark.parametrize(
    "task, told",
    [
        (LABELS | {"label": "text"}, "text reads 'text', the column of label: a model would be shown the solution"),
        (LABELS | {"label": "stars", "text_pair": "stars"}, "text_pair reads 'stars', the column of label"),
        (NUMBER | {"score": "text"}, "text reads 'text', the column of score"),
        (NUMBER | {"text_pair": "score"}, "text_pair reads 'score', the column of score"),
        (ANSWER | {"context": "question"}, "question and context are the same column, 'question'"),
        (ANSWER | {"question": "answers"}, "question reads 'answers', the column of answers"),
        (FLAT | {"question": "answer"}, "question reads 'answer', the column of answer_text"),
        (FLAT | {"context": "start"}, "context reads 'start', the column of answer_start"),
    ],
)
def test_no_text_is_the_column_to_predict(task: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        parsed(task)


@pytest.mark.parametrize("task", [LABELS, NUMBER, ANSWER, FLAT, FLAT | {"question": "answers"}])
def test_columns_of_their_own_are_fine(task: dict[str, Any]) -> None:
    assert parsed(task).name == "t"
