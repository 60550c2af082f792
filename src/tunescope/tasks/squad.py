"""SQuAD v2 scoring: exact match, token F1, and when to answer nothing.

Written from the published definition (Rajpurkar et al., 2018, arXiv:1806.03822; `evaluate-v2.0.py` of
github.com/rajpurkar/SQuAD-explorer) and equal to that script's figures, with two differences of form: ours are
fractions in [0, 1] where the script prints percent, and a question without a prediction is an error unless asked for.

Words used here: a question *has an answer* if its gold list is not empty. A *no-answer score* is any number that is
higher the more a model doubts that there is an answer: a probability, or the null score minus the best span's score.
With a threshold, a model *abstains* (answers "") where its no-answer score is above the threshold.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunescope.errors import DataError

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SHOWN_IDS = 3


@dataclass(frozen=True, kw_only=True)
class SquadScores:
    """Scores of a set of predictions, as fractions in [0, 1], and of each question.

    The official script's names are in brackets. Its `NoAns_exact` and `NoAns_f1` are equal by definition (where nothing
    is right, an answer is right or wrong as a whole), so they are one figure here. A part without questions has no
    score: None.
    """

    exact: float
    """Mean exact match over the scored questions (`exact`)."""
    f1: float
    """Mean token F1 over the scored questions (`f1`)."""
    num_examples: int
    """Questions scored (`total`)."""
    has_answer_exact: float | None
    """Mean exact match over the questions that have an answer (`HasAns_exact`)."""
    has_answer_f1: float | None
    """Mean token F1 over the questions that have an answer (`HasAns_f1`)."""
    num_has_answer: int
    """Scored questions that have an answer (`HasAns_total`)."""
    no_answer_accuracy: float | None
    """Share of the questions without an answer that were answered by nothing (`NoAns_exact`, `NoAns_f1`)."""
    num_no_answer: int
    """Scored questions without an answer (`NoAns_total`)."""
    num_missing: int
    """Questions left out for want of a prediction; 0 unless `allow_missing`."""
    exact_by_id: Mapping[str, float]
    """Exact match of each scored question, the threshold applied: 0.0 or 1.0."""
    f1_by_id: Mapping[str, float]
    """Token F1 of each scored question, the threshold applied."""


@dataclass(frozen=True, kw_only=True)
class BestThresholds:
    """The official script's best scores over all thresholds (`best_exact`, `best_exact_thresh`, `best_f1`, ...)."""

    exact: float
    exact_threshold: float
    f1: float
    f1_threshold: float


@dataclass(frozen=True, kw_only=True)
class ChosenThreshold:
    """A no-answer threshold and the score, a fraction in [0, 1], that it gives on the rows it was chosen on."""

    threshold: float
    score: float


def normalise_answer(text: str) -> str:
    """Lower case, without ASCII punctuation, without the words a, an and the, white space single.

    Example:
        >>> normalise_answer(" The  Duke, of Normandy's")
        'duke of normandys'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(gold: Sequence[str], prediction: str) -> float:
    """1.0 if the prediction, normalised, is one of the gold answers, normalised; else 0.0.

    Args:
        gold: All accepted answers; empty where the question has none, and then only nothing is right.
        prediction: The answer given; "" for none.
    """
    predicted = normalise_answer(prediction)
    return float(any(answer == predicted for answer in _accepted(gold)))


def token_f1(gold: Sequence[str], prediction: str) -> float:
    """The highest F1 between the tokens of the prediction and of a gold answer, a fraction in [0, 1].

    F1 = 2 P R / (P + R); precision P and recall R count shared tokens as multisets of the normalised texts cut at white
    space. Where either side has no token, F1 is 1.0 if both have none and 0.0 otherwise. Token order does not matter.

    Args:
        gold: All accepted answers; empty where the question has none, and then only nothing is right.
        prediction: The answer given; "" for none.
    """
    predicted = normalise_answer(prediction).split()
    return max(_one_token_f1(answer.split(), predicted) for answer in _accepted(gold))


def score_squad(
    gold: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    no_answer_scores: Mapping[str, float] | None = None,
    threshold: float = 1.0,
    *,
    allow_missing: bool = False,
) -> SquadScores:
    """SQuAD v2 scores of predictions; equal to 1/100 of the official script's figures.

    Args:
        gold: Accepted answers by question id; an empty list where the question has no answer.
        predictions: The answer given by question id; "" for none.
        no_answer_scores: By question id, higher for "no answer". None: the predictions are scored as they are.
        threshold: Abstain where the no-answer score is above it. The official default, 1.0, means "never" for
            probabilities; for scores that are not probabilities pass a threshold chosen by `choose_threshold`.
        allow_missing: Leave questions without a prediction out of every mean and count them in `num_missing`. The
            official script cannot: it reports them and then fails; these are its figures on the questions that remain.

    Returns:
        The scores, overall and for questions with and without an answer, and of each question in `gold`'s order.

    Raises:
        DataError: If there is nothing to score, predictions are missing (unless allowed), or a prediction or no-answer
            score belongs to no question, or a no-answer score is missing.
        ValueError: If a no-answer score is not finite, the threshold is NaN, or a threshold is given without scores.
    """
    scored = _scored_ids(gold, predictions, allow_missing=allow_missing)
    if no_answer_scores is None and threshold != 1.0:
        raise ValueError(f"score_squad: threshold {threshold} needs no_answer_scores to apply to, got None")
    if math.isnan(threshold):
        raise ValueError("score_squad: threshold must be a number, got NaN")
    abstains = set[str]()
    if no_answer_scores is not None:
        _check_no_answer_scores(gold, no_answer_scores, scored)
        abstains = {key for key in scored if no_answer_scores[key] > threshold}
    exact, f1 = dict[str, float](), dict[str, float]()
    for key in scored:
        if key in abstains:
            exact[key] = f1[key] = float(not gold[key])
        else:
            exact[key] = exact_match(gold[key], predictions[key])
            f1[key] = token_f1(gold[key], predictions[key])
    has_answer = [key for key in scored if gold[key]]
    no_answer = [key for key in scored if not gold[key]]
    return SquadScores(
        exact=math.fsum(exact.values()) / len(scored),
        f1=math.fsum(f1.values()) / len(scored),
        num_examples=len(scored),
        has_answer_exact=_mean(exact, has_answer),
        has_answer_f1=_mean(f1, has_answer),
        num_has_answer=len(has_answer),
        no_answer_accuracy=_mean(exact, no_answer),
        num_no_answer=len(no_answer),
        num_missing=len(gold) - len(scored),
        exact_by_id=exact,
        f1_by_id=f1,
    )


def apply_threshold(
    predictions: Mapping[str, str], no_answer_scores: Mapping[str, float], threshold: float
) -> dict[str, str]:
    """The predictions with "" where the no-answer score is above the threshold.

    Raises:
        DataError: If the ids of predictions and no-answer scores are not the same.
        ValueError: If a no-answer score is not finite or the threshold is NaN.
    """
    if math.isnan(threshold):
        raise ValueError("apply_threshold: threshold must be a number, got NaN")
    _check_no_answer_scores(predictions, no_answer_scores, list(predictions))
    return {key: "" if no_answer_scores[key] > threshold else text for key, text in predictions.items()}


def best_threshold(
    gold: Mapping[str, Sequence[str]], predictions: Mapping[str, str], no_answer_scores: Mapping[str, float]
) -> BestThresholds:
    """The official script's search for the best threshold, its habits included; for figures to compare with others'.

    It starts from abstaining everywhere, with threshold 0.0, then answers one question after another by rising
    no-answer score (equal scores in the mapping's order) and keeps the first highest sum. An answer to a question
    without one costs 1, even if it normalises to nothing, and the best point may lie between two equal scores. So the
    best score can differ from what `score_squad` gives at that threshold: with ties, or with scores that are not
    probabilities. To choose a threshold for use, take `choose_threshold`. These figures look at the gold answers of
    the rows they score: they are an upper bound, not a result.

    Raises:
        DataError: As `score_squad`.
        ValueError: If a no-answer score is not finite.
    """
    scored = _scored_ids(gold, predictions, allow_missing=False)
    _check_no_answer_scores(gold, no_answer_scores, scored)
    by_doubt = sorted(no_answer_scores, key=lambda key: no_answer_scores[key])
    num_no_answer = sum(not gold[key] for key in scored)

    def search(raw: Mapping[str, float]) -> tuple[float, float]:
        gains = [raw[key] if gold[key] else -float(predictions[key] != "") for key in by_doubt]
        sums = np.cumsum([float(num_no_answer), *gains])
        best = int(np.argmax(sums))
        return float(sums[best]) / len(scored), no_answer_scores[by_doubt[best - 1]] if best else 0.0

    exact, exact_threshold = search({key: exact_match(gold[key], predictions[key]) for key in scored})
    f1, f1_threshold = search({key: token_f1(gold[key], predictions[key]) for key in scored})
    return BestThresholds(exact=exact, exact_threshold=exact_threshold, f1=f1, f1_threshold=f1_threshold)


def choose_threshold(
    gold: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    no_answer_scores: Mapping[str, float],
    *,
    measure: Literal["exact", "f1"] = "f1",
) -> ChosenThreshold:
    """The threshold with the highest score on these rows, for use on other rows; call it on selection rows only.

    Unlike `best_threshold`, every candidate can be used: questions of equal no-answer score are answered together, and
    abstaining everywhere has a threshold of its own, just below the lowest score, so scores may have any sign. The score
    is what `score_squad` gives on the same rows with the threshold. Of equally good thresholds, the lowest.

    Args:
        gold: Accepted answers by question id, of the selection rows.
        predictions: The best non-empty answers by question id, no threshold applied.
        no_answer_scores: By question id, higher for "no answer".
        measure: Which mean to raise.

    Raises:
        DataError: As `score_squad`.
        ValueError: If a no-answer score is not finite.
    """
    scored = _scored_ids(gold, predictions, allow_missing=False)
    _check_no_answer_scores(gold, no_answer_scores, scored)
    measured = exact_match if measure == "exact" else token_f1
    answering = np.array([measured(gold[key], predictions[key]) for key in scored])
    abstaining = np.array([float(not gold[key]) for key in scored])
    doubt = np.array([no_answer_scores[key] for key in scored], dtype=np.float64)
    order = np.argsort(doubt, kind="stable")
    doubt, gains = doubt[order], (answering - abstaining)[order]
    sums = abstaining.sum() + np.concatenate([[0.0], np.cumsum(gains)])
    candidates = np.concatenate([[np.nextafter(doubt[0], -np.inf)], doubt])
    usable = np.concatenate([[True], doubt[:-1] != doubt[1:], [True]])
    best = int(np.argmax(np.where(usable, sums, -np.inf)))
    return ChosenThreshold(threshold=float(candidates[best]), score=float(sums[best]) / len(scored))


def _accepted(gold: Sequence[str]) -> list[str]:
    # Gold answers that normalise to nothing are dropped; without any left, only nothing is right.
    if isinstance(gold, str):
        raise ValueError(f"squad: gold answers must be a list of texts, got the one text {gold!r}")
    return [answer for answer in map(normalise_answer, gold) if answer] or [""]


def _one_token_f1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    if not gold or not predicted:
        return float(not gold and not predicted)
    num_same = (Counter(gold) & Counter(predicted)).total()
    if num_same == 0:
        return 0.0
    precision, recall = num_same / len(predicted), num_same / len(gold)
    return 2 * precision * recall / (precision + recall)


def _mean(values: Mapping[str, float], keys: Sequence[str]) -> float | None:
    return math.fsum(values[key] for key in keys) / len(keys) if keys else None


def _scored_ids(gold: Mapping[str, Sequence[str]], predictions: Mapping[str, str], *, allow_missing: bool) -> list[str]:
    if not gold:
        raise DataError("squad: at least one question is needed to score predictions, got none.")
    unknown = [key for key in predictions if key not in gold]
    if unknown:
        raise DataError(
            f"squad: {len(unknown)} of {len(predictions)} predictions belong to no question of this split "
            f"({_some(unknown)}). Give predictions for this split's ids only."
        )
    missing = [key for key in gold if key not in predictions]
    if missing and not allow_missing:
        raise DataError(
            f"squad: {len(missing)} of {len(gold)} questions have no prediction ({_some(missing)}). "
            'Predict them ("" means: no answer), or leave them out with allow_missing=True.'
        )
    if len(missing) == len(gold):
        raise DataError(f"squad: none of the {len(gold)} questions has a prediction: there is nothing to score.")
    return [key for key in gold if key in predictions]


def _check_no_answer_scores(
    known: Mapping[str, object], no_answer_scores: Mapping[str, float], scored: Sequence[str]
) -> None:
    unknown = [key for key in no_answer_scores if key not in known]
    if unknown:
        raise DataError(f"squad: {len(unknown)} no-answer scores belong to no question ({_some(unknown)}).")
    missing = [key for key in scored if key not in no_answer_scores]
    if missing:
        raise DataError(f"squad: {len(missing)} of {len(scored)} answers have no no-answer score ({_some(missing)}).")
    for key, value in no_answer_scores.items():
        if not math.isfinite(value):
            raise ValueError(f"squad: the no-answer score of question {key} must be finite, got {value}")


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN_IDS} more" if len(keys) > _SHOWN_IDS else ""
    return ", ".join(keys[:_SHOWN_IDS]) + more
