"""The scores a task can name, each with its formula, its range and the kinds of task it is for.

Every score is a fraction or a plain number, never percent. A score that is undefined for what it is given raises
`ValueError` with the reason: no NaN, no filled-in 0. The question-answering scores carry SQuAD in their names, as it is
SQuAD's normalisation and token F1 that they compute: `f1` of labels and `squad_f1` of tokens are different things.

Formulas: y targets, p predictions, n of each; TP, FP, FN, TN counts with label id 1 as the positive class.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunescope.tasks.squad import SquadScores, score_squad

Gold = Mapping[str, Sequence[str]]
"""Accepted answers by question id; an empty list where the question has no answer."""
Answers = Mapping[str, str]
"""The answer given by question id; "" for none, a threshold already applied."""

CLASSIFICATION, REGRESSION, QUESTION_ANSWERING = "classification", "regression", "question_answering"


@dataclass(frozen=True, kw_only=True)
class Score:
    """All there is to know of one score."""

    name: str
    """As a study names it, and as result columns are called."""
    function: Callable[[Any, Any], float]
    """(targets, predictions) -> score. Classification: integer label ids, (n,) each. Regression: numbers, (n,) each.
    Question answering: `Gold`, `Answers`."""
    higher_is_better: bool
    range: tuple[float, float]
    """Least and greatest value, both reachable unless infinite."""
    kinds: frozenset[str]
    """Of "classification", "regression", "question_answering"."""
    description: str
    """Formula and source."""


def accuracy(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Share of predictions that equal their target, in [0, 1].

    Args:
        targets: (n,) integer label ids, 0 or above.
        predictions: (n,) integer label ids of the same examples in the same order.

    Raises:
        ValueError: If shapes differ, n is 0, or an entry is not a label id.
    """
    targets, predictions = _labels("accuracy", targets, predictions)
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(targets, predictions))


def f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """F1 of label id 1: 2 TP / (2 TP + FP + FN), in [0, 1]. For two classes; MRPC's standard.

    Args:
        targets: (n,) label ids, each 0 or 1.
        predictions: (n,) label ids of the same examples in the same order, each 0 or 1.

    Raises:
        ValueError: As `accuracy`; if a label id is above 1 (`macro_f1` takes more classes); if neither targets nor
            predictions hold label id 1, where F1 is 0/0.
    """
    targets, predictions = _labels("f1", targets, predictions)
    highest = max(targets.max(), predictions.max())
    if highest > 1:
        raise ValueError(
            f"f1: labels must be 0 or 1 (1 is the positive class), got {highest}; macro_f1 takes more classes"
        )
    if highest == 0:
        raise ValueError("f1: undefined (0/0), as neither targets nor predictions hold the positive class, label 1")
    from sklearn.metrics import f1_score

    return float(f1_score(targets, predictions, pos_label=1, average="binary"))


def macro_f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Unweighted mean, over the classes that occur in targets or predictions, of each class's F1; in [0, 1].

    Args:
        targets: (n,) integer label ids, 0 or above.
        predictions: (n,) integer label ids of the same examples in the same order.

    Raises:
        ValueError: As `accuracy`.
    """
    targets, predictions = _labels("macro_f1", targets, predictions)
    from sklearn.metrics import f1_score

    return float(f1_score(targets, predictions, average="macro"))


def matthews(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Matthews correlation of labels, in [-1, 1]; for two classes or more; CoLA's standard.

    For two classes (TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN)); for more, Gorodkin's R_K (2004,
    doi:10.1016/j.compbiolchem.2004.09.006). Where all predictions are one class the formula is 0/0 and the score is 0 by
    convention, the value of chance (Chicco & Jurman, 2020, doi:10.1186/s12864-019-6413-7; scikit-learn does the same): so a
    majority baseline has a score. Where all targets are one class nothing can correlate with them: that is an error.

    Args:
        targets: (n,) integer label ids, 0 or above, of two classes at least.
        predictions: (n,) integer label ids of the same examples in the same order.

    Raises:
        ValueError: As `accuracy`; if all targets are the same label.
    """
    targets, predictions = _labels("matthews", targets, predictions)
    if targets.min() == targets.max():
        raise ValueError(f"matthews: undefined, as all {len(targets)} targets are the same label, {targets[0]}")
    if predictions.min() == predictions.max():
        return 0.0
    from sklearn.metrics import matthews_corrcoef

    return float(np.clip(matthews_corrcoef(targets, predictions), -1.0, 1.0))  # rounding may step just past 1


def pearson(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Pearson's linear correlation r = cov(y, p) / (sd(y) sd(p)), in [-1, 1].

    Args:
        targets: (n,) finite numbers; computed in float64.
        predictions: (n,) finite numbers of the same examples in the same order.

    Raises:
        ValueError: If shapes differ, n is 0, a value is not finite, or either side is constant (also to float64's
            precision), where the correlation is undefined.
    """
    targets, predictions = _numbers("pearson", targets, predictions)
    _refuse_constant("pearson", targets, predictions)
    from scipy.stats import NearConstantInputWarning, pearsonr

    with warnings.catch_warnings():
        warnings.simplefilter("error", NearConstantInputWarning)
        try:
            return _defined("pearson", pearsonr(targets, predictions).statistic)
        except NearConstantInputWarning as error:
            raise ValueError("pearson: undefined, as targets or predictions vary by rounding only") from error


def spearman(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Spearman's rank correlation, in [-1, 1]: Pearson's of the ranks, ties sharing their mean rank.

    Args:
        targets: (n,) finite numbers.
        predictions: (n,) finite numbers of the same examples in the same order.

    Raises:
        ValueError: If shapes differ, n is 0, a value is not finite, or either side is constant.
    """
    targets, predictions = _numbers("spearman", targets, predictions)
    _refuse_constant("spearman", targets, predictions)
    from scipy.stats import pearsonr, rankdata

    return _defined("spearman", pearsonr(rankdata(targets), rankdata(predictions)).statistic)


def mse(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean of (y - p)^2, in the target's unit squared.

    Args:
        targets: (n,) finite numbers; computed in float64.
        predictions: (n,) finite numbers of the same examples in the same order.

    Raises:
        ValueError: If shapes differ, n is 0, a value is not finite, or the mean overflows float64.
    """
    return _mean_squared_error("mse", targets, predictions)


def rmse(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Square root of `mse`, in the target's unit. Same arguments and errors."""
    return float(np.sqrt(_mean_squared_error("rmse", targets, predictions)))


def squad_exact(gold: Gold, predictions: Answers) -> float:
    """Mean exact match over all questions, in [0, 1]; see `squad.exact_match`, and `squad.score_squad` for errors."""
    return score_squad(gold, predictions).exact


def squad_f1(gold: Gold, predictions: Answers) -> float:
    """Mean token F1 over all questions, in [0, 1]; see `squad.token_f1`, and `squad.score_squad` for errors."""
    return score_squad(gold, predictions).f1


def squad_has_answer_exact(gold: Gold, predictions: Answers) -> float:
    """`squad_exact` over the questions that have an answer. Raises ValueError if none has."""
    return _part(score_squad(gold, predictions).has_answer_exact, "squad_has_answer_exact", "has an answer")


def squad_has_answer_f1(gold: Gold, predictions: Answers) -> float:
    """`squad_f1` over the questions that have an answer. Raises ValueError if none has."""
    return _part(score_squad(gold, predictions).has_answer_f1, "squad_has_answer_f1", "has an answer")


def squad_no_answer_accuracy(gold: Gold, predictions: Answers) -> float:
    """Share, in [0, 1], of the questions without an answer that were answered by nothing. ValueError if all have one."""
    return _part(score_squad(gold, predictions).no_answer_accuracy, "squad_no_answer_accuracy", "is without an answer")


def squad_figures(scores: SquadScores) -> dict[str, float]:
    """The five SQuAD scores of one `score_squad` result by name; a part without questions is left out."""
    named = {
        "squad_exact": scores.exact,
        "squad_f1": scores.f1,
        "squad_has_answer_exact": scores.has_answer_exact,
        "squad_has_answer_f1": scores.has_answer_f1,
        "squad_no_answer_accuracy": scores.no_answer_accuracy,
    }
    return {name: value for name, value in named.items() if value is not None}


def _entry(
    function: Callable[[Any, Any], float],
    kind: str,
    description: str,
    *,
    range: tuple[float, float] = (0.0, 1.0),
    higher_is_better: bool = True,
) -> Score:
    return Score(
        name=function.__name__,
        function=function,
        higher_is_better=higher_is_better,
        range=range,
        kinds=frozenset({kind}),
        description=description,
    )


_CORRELATION, _ERROR = (-1.0, 1.0), (0.0, float("inf"))
_SQUAD = "SQuAD v2's evaluate-v2.0.py (arXiv:1806.03822), as a fraction"

SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        _entry(accuracy, CLASSIFICATION, "Share of y = p (GLUE, arXiv:1804.07461)."),
        _entry(f1, CLASSIFICATION, "2 TP / (2 TP + FP + FN), label id 1 positive (GLUE, arXiv:1804.07461)."),
        _entry(macro_f1, CLASSIFICATION, "Mean over classes of 2 TP / (2 TP + FP + FN) (scikit-learn, f1_score)."),
        _entry(
            matthews,
            CLASSIFICATION,
            "(TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)), R_K for more classes, 0 for constant predictions "
            "(GLUE, arXiv:1804.07461; Gorodkin, 2004).",
            range=_CORRELATION,
        ),
        _entry(pearson, REGRESSION, "cov(y, p) / (sd(y) sd(p)) (GLUE, arXiv:1804.07461).", range=_CORRELATION),
        _entry(spearman, REGRESSION, "Pearson's of the ranks (GLUE, arXiv:1804.07461).", range=_CORRELATION),
        _entry(mse, REGRESSION, "Mean of (y - p)^2, the target's unit squared.", range=_ERROR, higher_is_better=False),
        _entry(rmse, REGRESSION, "sqrt(mse), in the target's unit.", range=_ERROR, higher_is_better=False),
        _entry(squad_exact, QUESTION_ANSWERING, f"Mean exact match of normalised answers: exact of {_SQUAD}."),
        _entry(squad_f1, QUESTION_ANSWERING, f"Mean token F1 of normalised answers: f1 of {_SQUAD}."),
        _entry(squad_has_answer_exact, QUESTION_ANSWERING, f"HasAns_exact of {_SQUAD}."),
        _entry(squad_has_answer_f1, QUESTION_ANSWERING, f"HasAns_f1 of {_SQUAD}."),
        _entry(squad_no_answer_accuracy, QUESTION_ANSWERING, f"NoAns_exact, equal to NoAns_f1, of {_SQUAD}."),
    )
}
"""By name: every score that a task can ask for."""


def _labels(name: str, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    _check_shapes(name, targets, predictions)
    for role, labels in (("targets", targets), ("predictions", predictions)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{name}: {role} must be integer label ids, got {labels.dtype}")
        if labels.min() < 0:
            raise ValueError(f"{name}: {role} must be label ids of 0 or above, got {labels.min()} (a hidden label?)")
    return targets, predictions


def _numbers(name: str, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    targets, predictions = np.asarray(targets, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    _check_shapes(name, targets, predictions)
    for role, values in (("targets", targets), ("predictions", predictions)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: {role} must be finite, got {values[~np.isfinite(values)][0]}")
    return targets, predictions


def _check_shapes(name: str, targets: np.ndarray, predictions: np.ndarray) -> None:
    if targets.ndim != 1 or targets.shape != predictions.shape:
        raise ValueError(
            f"{name}: targets and predictions must both be (n,), of the same examples, "
            f"got {targets.shape} and {predictions.shape}"
        )
    if targets.size == 0:
        raise ValueError(f"{name}: at least one example is needed, got none")


def _refuse_constant(name: str, targets: np.ndarray, predictions: np.ndarray) -> None:
    for role, values in (("targets", targets), ("predictions", predictions)):
        if values.min() == values.max():
            raise ValueError(f"{name}: undefined, as all {len(values)} {role} are equal, {values[0]}")


def _mean_squared_error(name: str, targets: np.ndarray, predictions: np.ndarray) -> float:
    targets, predictions = _numbers(name, targets, predictions)
    from sklearn.metrics import mean_squared_error

    with np.errstate(over="ignore"):  # an overflow is refused in the next line, by name
        value = mean_squared_error(targets, predictions)
    return _defined(name, value)


def _defined(name: str, value: float) -> float:
    if not np.isfinite(value):
        raise ValueError(f"{name}: undefined in float64 for these values, got {value}")
    return float(value)


def _part(value: float | None, name: str, condition: str) -> float:
    if value is None:
        raise ValueError(f"{name}: undefined, as no question {condition}")
    return value
