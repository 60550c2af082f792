"""Predictions against targets: values, what is undefined and why, what is odd, and the table that is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tunescope.inference.predict import Predictions
from tunescope.inference.score import Scores, no_answer_threshold, prediction_table, score, write_scores
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.spans import SpanPrediction
from tunescope.tasks.spec import Classification, Dataset, QuestionAnswering, Regression

_DATASET = Dataset(files={"train": "t.csv", "validation": "v.csv"})
_LABELS = Classification(name="t", dataset=_DATASET, labels=("no", "yes"), metrics=("accuracy", "f1", "matthews"))
_NUMBERS = Regression(name="t", dataset=_DATASET, metrics=("pearson", "rmse"))
_ANSWERS = QuestionAnswering(
    name="t", dataset=_DATASET, metrics=("squad_f1", "squad_exact", "squad_no_answer_accuracy")
)


def _examples(targets):
    ids = tuple(f"v-{place}" for place in range(len(targets)))
    return Examples(ids=ids, texts={"text": ids}, targets=targets)


def _logits(*rows):
    return Predictions(ids=tuple(f"v-{place}" for place in range(len(rows))), logits=np.array(rows, np.float32))


def test_labels_are_scored_and_listed():
    examples = _examples(np.array([0, 1, 1, 0]))
    predictions = _logits([2, 1], [0, 1], [1, 0], [0, 0])  # equal logits: the lower id
    scores = score(_LABELS, examples, predictions)
    assert scores.values["accuracy"] == 0.75
    assert scores.values["f1"] == pytest.approx(2 / 3)
    assert (scores.undefined, scores.num_examples, scores.note) == ({}, 4, "")
    table = prediction_table(_LABELS, examples, predictions)
    assert table.column_names == ["id", "target", "prediction", "correct", "logit_no", "logit_yes"]
    assert table.column("prediction").to_pylist() == ["no", "yes", "no", "no"]
    assert table.column("correct").to_pylist() == [True, True, False, True]


def test_constant_predictions_are_said_in_words():
    scores = score(_LABELS, _examples(np.array([0, 1, 1])), _logits([1, 0], [1, 0], [1, 0]))
    assert scores.note == "every one of 3 predictions is no"
    numbers = Predictions(ids=("v-0", "v-1"), numbers=np.array([2.5, 2.5], np.float32))
    scores = score(_NUMBERS, _examples(np.array([1.0, 4.0])), numbers)
    assert scores.note == "every one of 2 predictions is 2.5"
    assert scores.values.keys() == {"rmse"}
    assert "pearson" in scores.undefined["pearson"] or "constant" in scores.undefined["pearson"]


def test_predictions_of_other_examples_are_our_own_fault():
    examples = _examples(np.array([0, 1]))
    turned = Predictions(ids=("v-1", "v-0"), logits=np.eye(2, dtype=np.float32))
    with pytest.raises(AssertionError, match="in the same order"):
        score(_LABELS, examples, turned)


def _span(id_, text, no_answer_score):
    return SpanPrediction(id=id_, text=text, start_char=0, end_char=3, span_score=0.0, null_score=no_answer_score)


def _questions():
    examples = _examples((Answers(texts=("cat",), starts=(0,)), Answers(), Answers(texts=("dog",), starts=(0,))))
    spans = (_span("v-0", "cat", -2.0), _span("v-1", "cat", 1.0), _span("v-2", "cat", -1.0))
    return examples, Predictions(ids=examples.ids, spans=spans)


def test_the_threshold_decides_who_is_answered():
    examples, predictions = _questions()
    with_all = score(_ANSWERS, examples, predictions, threshold=5.0)
    assert with_all.values == {"squad_f1": 1 / 3, "squad_exact": 1 / 3, "squad_no_answer_accuracy": 0.0}
    assert with_all.note == "every one of 3 questions is answered"
    with_some = score(_ANSWERS, examples, predictions, threshold=0.0)
    assert with_some.values == {"squad_f1": 2 / 3, "squad_exact": 2 / 3, "squad_no_answer_accuracy": 1.0}
    assert with_some.note == ""
    with_none = score(_ANSWERS, examples, predictions, threshold=-5.0)
    assert with_none.note == "every one of 3 questions is left without an answer"
    table = prediction_table(_ANSWERS, examples, predictions, threshold=0.0)
    assert table.column("prediction").to_pylist() == ["cat", "", "cat"]
    assert table.column("best_span").to_pylist() == ["cat", "cat", "cat"]


def test_the_chosen_threshold_is_the_best_of_all():
    examples, predictions = _questions()
    chosen = no_answer_threshold(examples, predictions)
    best = max(
        score(_ANSWERS, examples, predictions, threshold).values["squad_f1"] for threshold in np.linspace(-3, 3, 61)
    )
    assert score(_ANSWERS, examples, predictions, chosen).values["squad_f1"] == best == 2 / 3


def test_a_split_without_unanswerable_questions_has_no_score_for_them():
    examples = _examples((Answers(texts=("cat",), starts=(0,)),))
    predictions = Predictions(ids=examples.ids, spans=(_span("v-0", "cat", 0.0),))
    scores = score(_ANSWERS, examples, predictions, threshold=1.0)
    assert scores.undefined == {"squad_no_answer_accuracy": "the split has no question of that kind"}


def test_metrics_json_holds_no_nan_and_no_empty_entry(tmp_path):
    scores = Scores(values={"accuracy": 0.5}, undefined={"f1": "why"}, num_examples=2)
    write_scores(tmp_path, scores, {"split": "validation", "threshold": None})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        "scores": {"accuracy": 0.5},
        "undefined": {"f1": "why"},
        "num_examples": 2,
        "split": "validation",
    }
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_scores(tmp_path, Scores(values={"accuracy": float("nan")}, undefined={}, num_examples=2), {})
