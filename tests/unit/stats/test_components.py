"""Scores of means: the same numbers as tunescope.tasks, right gradients, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.stats.components import NAMES, score_of_means
from tunescope.tasks.scores import SCORES

LABELLED = [
    ("accuracy", 2),
    ("accuracy", 4),
    ("f1", 2),
    ("macro_f1", 2),
    ("macro_f1", 4),
    ("matthews", 2),
    ("matthews", 4),
]


def _labels(num_labels: int, seed: int = 0, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, num_labels, n)
    return targets, np.where(rng.random(n) < 0.6, targets, rng.integers(0, num_labels, n))


@pytest.mark.parametrize("name, num_labels", LABELLED)
def test_label_scores_agree_with_the_tasks(name: str, num_labels: int) -> None:
    targets, predictions = _labels(num_labels)
    score = score_of_means(name, num_labels=num_labels)
    assert score.score(score.components(targets, predictions)) == pytest.approx(
        SCORES[name].function(targets, predictions), abs=1e-12
    )
    assert score.higher_is_better == SCORES[name].higher_is_better


@pytest.mark.parametrize("name", ["pearson", "spearman", "mse", "rmse"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_number_scores_agree_with_the_tasks(name: str, offset: float) -> None:
    rng = np.random.default_rng(1)
    targets = np.round(offset + 2.0 * rng.normal(size=90), 1)  # rounded, so that ranks tie
    predictions = np.round(targets + rng.normal(size=90), 1)
    score = score_of_means(name)
    assert score.score(score.components(targets, predictions)) == pytest.approx(
        SCORES[name].function(targets, predictions), rel=1e-12
    )
    assert score.higher_is_better == SCORES[name].higher_is_better


def test_squad_scores_agree_with_the_tasks() -> None:
    gold = {"1": ["a cat"], "2": [], "3": ["the dog sat", "dog"], "4": [], "5": ["blue"]}
    given = {"1": "cat", "2": "", "3": "dog sat up", "4": "wrong", "5": ""}
    from tunescope.tasks.squad import exact_match, token_f1

    has_answer = np.array([bool(answers) for answers in gold.values()])
    exact = np.array([exact_match(gold[key], given[key]) for key in gold])
    token = np.array([token_f1(gold[key], given[key]) for key in gold])
    for name in (name for name in NAMES if name.startswith("squad")):
        score = score_of_means(name)
        components = score.components(has_answer, token if name.endswith("f1") else exact)
        assert score.score(components) == pytest.approx(SCORES[name].function(gold, given), abs=1e-12)


def test_every_score_of_the_tasks_is_a_score_of_means() -> None:
    assert set(NAMES) == set(SCORES) | {"mean", "conditional_mean"}


def test_matthews_of_constant_predictions_is_zero_as_in_the_tasks() -> None:
    targets, constant = np.array([0, 1, 1, 0]), np.ones(4, dtype=int)
    score = score_of_means("matthews", num_labels=2)
    assert score.score(score.components(targets, constant)) == SCORES["matthews"].function(targets, constant) == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_finite_differences(name: str) -> None:
    score = score_of_means(name, num_labels=3)
    rng = np.random.default_rng(2)
    if name in ("accuracy", "f1", "macro_f1", "matthews"):
        components = score.components(*_labels(2 if name == "f1" else 3))
    elif name.startswith(("squad", "conditional")):
        components = score.components(rng.random(50) < 0.5, rng.random(50))
    else:
        components = score.components(rng.normal(size=50), rng.normal(size=50))
    means, step = components.mean(axis=0), 1e-6
    for j in range(len(means)):
        shift = np.eye(len(means))[j] * step
        slope = (score.combine(means + shift) - score.combine(means - shift)) / (2 * step)
        assert score.gradient(means)[j] == pytest.approx(float(slope), abs=1e-7)


def test_influence_has_the_score_for_its_mean_and_is_the_jackknife_to_first_order() -> None:
    targets, predictions = _labels(3, n=400)
    score = score_of_means("matthews", num_labels=3)
    components = score.components(targets, predictions)
    influence = score.influence(components)
    whole = float(score.score(components))
    assert influence.mean() == pytest.approx(whole, abs=1e-14)
    left_out = np.array([float(score.score(np.delete(components, i, axis=0))) for i in range(400)])
    pseudo = whole + 399 * (whole - left_out)
    assert np.abs(pseudo - influence).max() < 0.02
    assert np.corrcoef(pseudo, influence)[0, 1] > 0.9999


def test_influence_takes_seeds_at_once() -> None:
    score = score_of_means("f1")
    components = np.stack([score.components(*_labels(2, seed)) for seed in range(3)])
    one_by_one = np.stack([score.influence(seed) for seed in components])
    np.testing.assert_allclose(score.influence(components), one_by_one, rtol=0, atol=1e-15)


def test_spearmans_influence_knows_that_an_example_moves_the_ranks_of_others() -> None:
    rng = np.random.default_rng(3)
    score, n, found, told = score_of_means("spearman"), 200, [], []
    for _ in range(400):
        x = rng.normal(size=n)
        components = score.components(x, 0.9 * x + np.sqrt(1 - 0.81) * rng.normal(size=n))
        found.append(float(score.score(components)))
        told.append(score.influence(components).var(ddof=1) / n)
    assert np.sqrt(np.mean(told)) == pytest.approx(np.std(found), rel=0.1)


def test_rmse_of_a_perfect_fit_has_no_influence_but_zero() -> None:
    score = score_of_means("rmse")
    assert score.influence(score.components([1.0, 2.0], [1.0, 2.0])).tolist() == [0.0, 0.0]


def test_undefined_scores_are_nan_in_combine_and_refused_by_influence() -> None:
    score = score_of_means("f1")
    components = score.components(np.zeros(3, dtype=int), np.zeros(3, dtype=int))
    assert np.isnan(score.score(components))
    with pytest.raises(ValueError, match="f1: undefined"):
        score.influence(components)
    matthews = score_of_means("matthews", num_labels=2)
    assert np.isnan(matthews.score(matthews.components(np.zeros(3, dtype=int), np.array([0, 1, 0]))))


@pytest.mark.parametrize(
    "name, targets, predictions, message",
    [
        ("accuracy", [0, 1], [0], r"got \(2,\) and \(1,\)"),
        ("accuracy", np.zeros(0, dtype=int), np.zeros(0, dtype=int), "at least one example"),
        ("accuracy", [0.0, 1.0], [0, 1], "targets must be integer label ids"),
        ("accuracy", [0, -1], [0, 1], "targets must be label ids from 0 to any, got -1"),
        ("f1", [0, 1], [0, 2], "predictions must be label ids from 0 to 1, got 0 to 2"),
        ("macro_f1", [0, 3], [0, 2], "targets must be label ids from 0 to 2"),
        ("pearson", [1.0, 1.0], [0.0, 2.0], "all 2 targets are equal, 1.0"),
        ("spearman", [1.0, 2.0], [2.0, 2.0], "all 2 predictions are equal"),
        ("mse", [1.0, np.inf], [2.0, 2.0], "targets must be finite"),
        ("mse", [1e200, 0.0], [-1e200, 0.0], "overflows"),
        ("mean", None, [np.nan], "must be finite"),
        ("conditional_mean", [0, 2], [1.0, 1.0], "whether it counts"),
        ("squad_no_answer_accuracy", [0.5, 1], [1.0, 1.0], "whether it has an answer"),
    ],
)
def test_wrong_arguments_are_refused(name: str, targets: object, predictions: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_of_means(name, num_labels=3).components(targets, predictions)


def test_unknown_names_and_missing_label_counts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown score of means 'bleu'; known: accuracy, f1"):
        score_of_means("bleu")
    with pytest.raises(ValueError, match="num_labels must be 2 or more, got None"):
        score_of_means("matthews")
