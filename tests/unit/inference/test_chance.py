"""Exact expectations of guessing, against every possible guess on tiny sets and against the mean of many draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tunescope.inference.chance import (
    expected_answer_scores,
    expected_label_scores,
    expected_number_scores,
    guessed_answers,
    guessed_labels,
    guessed_numbers,
    majority_label,
)
from tunescope.tasks.examples import Answers, Examples
from tunescope.tasks.scores import SCORES
from tunescope.tasks.spec import Classification, Dataset, QuestionAnswering, Regression

_NUM_DRAWS = 20_000
_DATASET = Dataset(files={"train": "t.csv", "validation": "v.csv"})


def _task(*labels, metrics=("accuracy", "f1", "macro_f1", "matthews")):
    return Classification(name="t", dataset=_DATASET, labels=labels, metrics=metrics)


def _score_or_zero(name, targets, predicted):
    """A score as scikit-learn has it: 0 where a count to divide by is 0."""
    try:
        return SCORES[name].function(targets, predicted)
    except ValueError:
        return 0.0


@pytest.mark.parametrize("targets", [[0, 1], [1, 1, 0], [0, 0, 0, 1, 1], [1, 0, 0, 0, 0]])
def test_label_expectations_equal_the_mean_over_every_possible_guess(targets):
    gold = np.array(targets)
    expected = expected_label_scores(_task("no", "yes"), gold)
    assert expected.keys() == {"accuracy", "f1", "macro_f1", "matthews"}
    guesses = [np.array(guess) for guess in itertools.product((0, 1), repeat=len(gold))]
    for name, value in expected.items():
        mean = np.mean([_score_or_zero(name, gold, guess) for guess in guesses])
        assert value == pytest.approx(mean, abs=1e-12), name


def test_label_expectations_equal_the_mean_of_many_draws():
    """MRPC's own balance, 279 to 129. Tolerance: 5 standard errors of the draws' mean."""
    gold = np.array([1] * 279 + [0] * 129)
    expected = expected_label_scores(_task("no", "yes", metrics=("accuracy", "f1")), gold)
    drawn = np.random.default_rng(3).integers(0, 2, size=(_NUM_DRAWS, len(gold)))
    true_positives = (drawn * gold).sum(axis=1)
    by_draw = {
        "accuracy": (drawn == gold).mean(axis=1),
        "f1": 2 * true_positives / (drawn.sum(axis=1) + gold.sum()),
    }
    for name, values in by_draw.items():
        error = values.std() / np.sqrt(_NUM_DRAWS)
        assert abs(values.mean() - expected[name]) < 5 * error, name
    assert expected["accuracy"] == 0.5


def test_more_than_two_labels_have_accuracy_alone():
    gold = np.array([0, 1, 2, 2])
    expected = expected_label_scores(_task("a", "b", "c", metrics=("accuracy", "macro_f1")), gold)
    assert expected == {"accuracy": 1 / 3}
    guesses = itertools.product(range(3), repeat=4)
    assert np.mean([(np.array(guess) == gold).mean() for guess in guesses]) == pytest.approx(1 / 3)


def test_guessed_labels_follow_the_seed_and_cover_every_label():
    task = _task("a", "b", "c", metrics=("accuracy",))
    one = guessed_labels(task, 3000, seed=5)
    assert np.array_equal(one, guessed_labels(task, 3000, seed=5))
    assert not np.array_equal(one, guessed_labels(task, 3000, seed=6))
    assert np.bincount(one).min() > 900


def _numbers(*values):
    ids = tuple(str(place) for place in range(len(values)))
    return Examples(ids=ids, texts={"text": ids}, targets=np.array(values))


def test_the_majority_is_the_commonest_training_label_the_lowest_of_equals():
    assert majority_label(_numbers(2, 1, 2, 0)) == 2
    assert majority_label(_numbers(1, 0, 0, 1, 2)) == 0


def test_number_expectations_equal_the_mean_of_many_draws():
    task = Regression(name="t", dataset=_DATASET, metrics=("pearson", "spearman", "mse", "rmse"))
    train, gold = _numbers(1.0, 5.0, 2.0), np.array([1.5, 3.0, 4.5, 4.0])
    expected = expected_number_scores(task, train, gold)
    assert expected.keys() == {"pearson", "spearman", "mse"}  # a root has no closed form
    draws = guessed_numbers(train, _NUM_DRAWS * len(gold), seed=1).reshape(_NUM_DRAWS, len(gold))
    assert draws.min() >= 1.0
    assert draws.max() <= 5.0
    errors = ((draws - gold) ** 2).mean(axis=1)
    assert abs(errors.mean() - expected["mse"]) < 5 * errors.std() / np.sqrt(_NUM_DRAWS)
    centred = draws - draws.mean(axis=1, keepdims=True)
    pearson = (centred @ (gold - gold.mean())) / (np.linalg.norm(centred, axis=1) * np.linalg.norm(gold - gold.mean()))
    assert abs(pearson.mean() - expected["pearson"]) < 5 * pearson.std() / np.sqrt(_NUM_DRAWS)


_QA = QuestionAnswering(
    name="t",
    dataset=_DATASET,
    metrics=("squad_f1", "squad_exact", "squad_has_answer_f1", "squad_has_answer_exact", "squad_no_answer_accuracy"),
)
_QUESTIONS = Examples(
    ids=("a", "b", "c", "d"),
    texts={
        "question": ("?",) * 4,
        "context": ("the cat sat on the mat", "a the dog", "Dogs dogs bark !", "the cat"),
    },
    targets=(
        Answers(texts=("cat", "the cat sat"), starts=(4, 0)),
        Answers(),
        Answers(texts=("Dogs",), starts=(0,)),
        Answers(texts=("the", "cat"), starts=(0, 4)),  # one normalises to nothing, and so is no accepted answer
    ),
)


def test_answer_expectations_equal_the_mean_over_every_possible_guess():
    choices = []
    for context in _QUESTIONS.texts["context"]:
        words = context.split()
        choices.append([("", 0.5), *((word, 0.5 / len(words)) for word in words)])
    gold = {id_: answers.texts for id_, answers in zip(_QUESTIONS.ids, _QUESTIONS.answers, strict=True)}
    means = dict.fromkeys(_QA.metrics, 0.0)
    for picks in itertools.product(*choices):
        answers = {id_: word for id_, (word, _) in zip(_QUESTIONS.ids, picks, strict=True)}
        weight = float(np.prod([share for _, share in picks]))
        for name in means:
            means[name] += weight * SCORES[name].function(gold, answers)
    expected = expected_answer_scores(_QA, _QUESTIONS)
    assert expected.keys() == means.keys()
    for name, value in expected.items():
        assert value == pytest.approx(means[name], abs=1e-12), name


def test_guessed_answers_are_nothing_half_the_time_and_else_a_word_of_the_context():
    guesses = [guessed_answers(_QA, _QUESTIONS, seed) for seed in range(400)]
    assert guesses[7] == guessed_answers(_QA, _QUESTIONS, 7)
    said = [guess["a"] for guess in guesses]
    assert set(said) == {"", "the", "cat", "sat", "on", "mat"}
    assert 150 < said.count("") < 250
