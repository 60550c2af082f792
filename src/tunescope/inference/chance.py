"""What guessing gets: the majority class, and uniform guesses with their exact expectation."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from tunescope.tasks.data import Examples
from tunescope.tasks.spec import Classification, QuestionAnswering, Regression
from tunescope.tasks.squad import exact_match, token_f1

_MAX_GRID = 4_000_000


def majority_label(train: Examples) -> int:
    """The commonest label id of the training rows; the lowest of equals. The report rows have no say."""
    counts = Counter(train.numbers.tolist())
    return int(min(counts, key=lambda label: (-counts[label], label)))


def guessed_labels(task: Classification, num_examples: int, seed: int) -> np.ndarray:
    """(n,) label ids, each label equally likely."""
    return np.random.default_rng(seed).integers(0, len(task.labels), size=num_examples)


def expected_label_scores(task: Classification, targets: np.ndarray) -> dict[str, float]:
    """Exact expectations of the task's scores under uniform guessing, as far as there is a closed form.

    Accuracy: 1 / K. With two labels every score is a function of TP ~ Bin(P, 1/2) and FP ~ Bin(N, 1/2), which are
    independent: E[s] = sum over TP, FP of p(TP) p(FP) s(TP, FP), where a score that is undefined counts as 0, as
    scikit-learn has it. Further labels: accuracy alone.

    Args:
        task: Names the scores.
        targets: (n,) label ids of the report rows.
    """
    expected: dict[str, float] = {}
    if "accuracy" in task.metrics:
        expected["accuracy"] = 1.0 / len(task.labels)
    positives, negatives = int((targets == 1).sum()), int((targets == 0).sum())
    if len(task.labels) != 2 or (positives + 1) * (negatives + 1) > _MAX_GRID:
        return expected
    tp, fp = np.arange(positives + 1.0)[:, None], np.arange(negatives + 1.0)[None, :]
    fn, tn = positives - tp, negatives - fp
    weight = _half_binomial(positives)[:, None] * _half_binomial(negatives)[None, :]
    f1 = _ratio(2 * tp, 2 * tp + fp + fn)
    tables = {
        "f1": f1,
        "macro_f1": (f1 + _ratio(2 * tn, 2 * tn + fp + fn)) / 2,
        "matthews": _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))),
    }
    return expected | {name: float((weight * table).sum()) for name, table in tables.items() if name in task.metrics}


def guessed_numbers(train: Examples, num_examples: int, seed: int) -> np.ndarray:
    """(n,) numbers, uniform between the least and the greatest training score."""
    return np.random.default_rng(seed).uniform(train.numbers.min(), train.numbers.max(), size=num_examples)


def expected_number_scores(task: Regression, train: Examples, targets: np.ndarray) -> dict[str, float]:
    """Exact expectations under `guessed_numbers`: correlations 0 by symmetry, MSE = mean (y - m)^2 + w^2 / 12.

    m is the middle and w the width of the training scores' range. RMSE has no closed form.
    """
    low, high = float(train.numbers.min()), float(train.numbers.max())
    known = {
        "pearson": 0.0,
        "spearman": 0.0,
        "mse": float(np.mean((targets - (low + high) / 2) ** 2) + (high - low) ** 2 / 12),
    }
    return {name: value for name, value in known.items() if name in task.metrics}


def guessed_answers(task: QuestionAnswering, examples: Examples, seed: int) -> dict[str, str]:
    """By question id: nothing with probability one half, else one word of the context, each equally likely."""
    generator = np.random.default_rng(seed)
    answers: dict[str, str] = {}
    for id_, context in zip(examples.ids, examples.texts[task.context], strict=True):
        words = context.split()
        answers[id_] = "" if generator.random() < 0.5 else words[int(generator.integers(len(words)))]
    return answers


def expected_answer_scores(task: QuestionAnswering, examples: Examples) -> dict[str, float]:
    """Exact expectations of the SQuAD scores under `guessed_answers`, question by question.

    A question with answers is worth half the mean score of the context's words; one without is right with probability
    one half plus half the share of words that normalise to nothing.
    """
    exact: list[float] = []
    f1: list[float] = []
    has_answer: list[bool] = []
    for answers, context in zip(examples.answers, examples.texts[task.context], strict=True):
        words = Counter(context.split())
        total = sum(words.values())
        gold = answers.texts
        exact_sum = sum(count * exact_match(gold, word) for word, count in words.items())
        f1_sum = sum(count * token_f1(gold, word) for word, count in words.items())
        exact.append(0.5 * exact_match(gold, "") + 0.5 * exact_sum / total)
        f1.append(0.5 * token_f1(gold, "") + 0.5 * f1_sum / total)
        has_answer.append(bool(gold))
    mask = np.array(has_answer)
    exact_array, f1_array = np.array(exact), np.array(f1)
    known = {"squad_exact": float(exact_array.mean()), "squad_f1": float(f1_array.mean())}
    if mask.any():
        known |= {
            "squad_has_answer_exact": float(exact_array[mask].mean()),
            "squad_has_answer_f1": float(f1_array[mask].mean()),
        }
    if not mask.all():
        known["squad_no_answer_accuracy"] = float(exact_array[~mask].mean())
    return {name: value for name, value in known.items() if name in task.metrics}


def _half_binomial(n: int) -> np.ndarray:
    """(n + 1,) probabilities of Bin(n, 1/2)."""
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2) for k in range(n + 1)]
    return np.asarray(np.exp(np.array(logs)))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Elementwise quotient, 0 where the denominator is."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.asarray(np.divide(numerator, denominator, out=np.zeros(shape), where=denominator != 0))
