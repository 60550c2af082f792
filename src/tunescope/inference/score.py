"""Predictions and targets -> scores, and the table of both that is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunescope.inference.predict import Predictions
from tunescope.tasks.data import Examples
from tunescope.tasks.scores import SCORES, squad_figures
from tunescope.tasks.spec import TaskSpec
from tunescope.tasks.squad import choose_threshold, score_squad

if TYPE_CHECKING:
    import pyarrow as pa

METRICS_NAME = "metrics.json"


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of one set of predictions."""

    values: dict[str, float]
    """Score by name, in the score's own unit: shares of one, not percent."""
    undefined: dict[str, str]
    """Scores that have no value here, and why."""
    num_examples: int
    note: str = ""
    """What is odd about the predictions, in words."""


def score(task: TaskSpec, examples: Examples, predictions: Predictions, threshold: float | None = None) -> Scores:
    """The task's scores.

    Args:
        task: Says which scores, and which kind of prediction.
        examples: With targets.
        predictions: Of the same examples in the same order.
        threshold: For question answering: no answer where the no-answer score is above it.
    """
    assert predictions.ids == examples.ids, "predictions and examples must be the same, in the same order"
    if task.kind == "question_answering":
        assert threshold is not None
        return _score_answers(task, examples, predictions, threshold)
    predicted = predicted_labels(predictions) if task.kind == "classification" else predictions.numbers
    assert predicted is not None
    values: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for name in task.metrics:
        try:
            values[name] = float(SCORES[name].function(examples.numbers, predicted))
        except ValueError as error:
            undefined[name] = str(error)
    note = ""
    if len(np.unique(predicted)) == 1:
        what = task.labels[int(predicted[0])] if task.kind == "classification" else f"{predicted[0]:g}"
        note = f"every one of {len(predicted)} predictions is {what}"
    return Scores(values=values, undefined=undefined, num_examples=len(examples.ids), note=note)


def no_answer_threshold(examples: Examples, predictions: Predictions) -> float:
    """The no-answer threshold with the best F1 on these examples; only ever called with selection rows."""
    return choose_threshold(_gold(examples), _texts(predictions), _no_answer_scores(predictions)).threshold


def targets_and_predictions(
    task: TaskSpec, examples: Examples, predictions: Predictions, threshold: float | None = None
) -> tuple[Sequence[Any], Sequence[Any]]:
    """What was to be said of each example and what was: label ids, numbers, or accepted answers and the one given."""
    if task.kind == "question_answering":
        assert predictions.spans is not None
        given = ["" if _is_null(span.no_answer_score, threshold) else span.text for span in predictions.spans]
        return [tuple(answers.texts) for answers in examples.answers], given
    if task.kind == "classification":
        return list(examples.numbers.astype(np.int64)), list(predicted_labels(predictions))
    assert predictions.numbers is not None
    return list(examples.numbers), list(predictions.numbers)


def predicted_labels(predictions: Predictions) -> np.ndarray:
    """(n,) int64 label ids: the highest logit, the lower id where two are equal."""
    assert predictions.logits is not None
    return np.asarray(predictions.logits.argmax(axis=1))


def prediction_table(
    task: TaskSpec, examples: Examples, predictions: Predictions, threshold: float | None = None
) -> pa.Table:
    """Example by example: id, target, prediction, and what it was chosen by."""
    import pyarrow as pa

    columns: dict[str, object] = {"id": list(examples.ids)}
    if task.kind == "question_answering":
        assert predictions.spans is not None
        columns["target"] = [list(answers.texts) for answers in examples.answers]
        columns["prediction"] = [
            "" if _is_null(span.no_answer_score, threshold) else span.text for span in predictions.spans
        ]
        columns["best_span"] = [span.text for span in predictions.spans]
        columns["no_answer_score"] = [span.no_answer_score for span in predictions.spans]
    elif task.kind == "regression":
        columns["target"] = examples.numbers
        columns["prediction"] = predictions.numbers
    else:
        assert predictions.logits is not None
        predicted = predicted_labels(predictions)
        columns["target"] = [task.labels[target] for target in examples.numbers]
        columns["prediction"] = [task.labels[label] for label in predicted]
        columns["correct"] = predicted == examples.numbers
        for label, logits in zip(task.labels, predictions.logits.T, strict=True):
            columns[f"logit_{label}"] = logits
    return pa.table(columns)


def write_scores(out: Path, scores: Scores, more: Mapping[str, Any]) -> None:
    """Writes `metrics.json`: scores, those that are undefined and why, and how many examples they are over."""
    content = {
        "scores": scores.values,
        "undefined": scores.undefined,
        "num_examples": scores.num_examples,
        **{key: value for key, value in more.items() if value is not None},
    }
    (out / METRICS_NAME).write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def _score_answers(task: TaskSpec, examples: Examples, predictions: Predictions, threshold: float) -> Scores:
    scores = score_squad(_gold(examples), _texts(predictions), _no_answer_scores(predictions), threshold)
    figures = squad_figures(scores)
    values = {name: figures[name] for name in task.metrics if name in figures}
    undefined = {name: "the split has no question of that kind" for name in task.metrics if name not in figures}
    answered = [not _is_null(value, threshold) for value in _no_answer_scores(predictions).values()]
    note = ""
    if len(set(answered)) == 1:
        note = f"every one of {len(answered)} questions is {'answered' if answered[0] else 'left without an answer'}"
    return Scores(values=values, undefined=undefined, num_examples=len(examples.ids), note=note)


def _is_null(no_answer_score: float, threshold: float | None) -> bool:
    return threshold is not None and no_answer_score > threshold


def _gold(examples: Examples) -> dict[str, tuple[str, ...]]:
    return {id_: tuple(answers.texts) for id_, answers in zip(examples.ids, examples.answers, strict=True)}


def _texts(predictions: Predictions) -> dict[str, str]:
    assert predictions.spans is not None
    return {span.id: span.text for span in predictions.spans}


def _no_answer_scores(predictions: Predictions) -> dict[str, float]:
    assert predictions.spans is not None
    return {span.id: span.no_answer_score for span in predictions.spans}
