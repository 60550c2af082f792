"""Targets and predictions -> what each example adds to a score: what standard errors, intervals and tests are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunescope.stats.components import ScoreOfMeans, score_of_means
from tunescope.tasks.spec import TaskSpec
from tunescope.tasks.squad import exact_match, token_f1


def score_of(task: TaskSpec, metric: str) -> ScoreOfMeans:
    """One of a task's scores as a function of means over examples."""
    return score_of_means(metric, num_labels=len(task.labels) if task.kind == "classification" else None)


def example_components(task: TaskSpec, metric: str, targets: Sequence[Any], predictions: Sequence[Any]) -> np.ndarray:
    """(n, k) components of one of a task's scores.

    Args:
        task: Says which kind of prediction.
        metric: One of its scores.
        targets: Label ids, numbers, or for question answering the accepted answers of each question, none for one without.
        predictions: Label ids, numbers, or answers, "" for none; of the same examples in the same order.

    Raises:
        ValueError: If they do not fit the score.
    """
    score = score_of(task, metric)
    if task.kind != "question_answering":
        kind = np.int64 if task.kind == "classification" else np.float64
        return score.components(np.asarray(targets, dtype=kind), np.asarray(predictions, dtype=kind))
    of_question = token_f1 if metric.endswith("f1") else exact_match
    values = [of_question(gold, answer) for gold, answer in zip(targets, predictions, strict=True)]
    return score.components(np.asarray([len(gold) > 0 for gold in targets]), np.asarray(values))


def standard_error(task: TaskSpec, metric: str, targets: Sequence[Any], predictions: Sequence[Any]) -> float | None:
    """The score's standard error over examples: sd of their influence / sqrt(n) (delta method; Efron & Tibshirani, 1993).

    Returns:
        In the score's unit; None with fewer than two examples or where the score is undefined.
    """
    components = example_components(task, metric, targets, predictions)
    if len(components) < 2:
        return None
    score = score_of(task, metric)
    if not np.isfinite(score.score(components)):
        return None
    return float(score.influence(components).std(ddof=1) / np.sqrt(len(components)))
