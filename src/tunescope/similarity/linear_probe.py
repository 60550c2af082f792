"""How much of a labelling a linear reader finds in a representation: fitted on some examples, scored on others.

Legend: n, m examples that the probe is fitted on and scored on; d features; C inverse strength of the L2 penalty.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunescope.similarity import checks

STRENGTHS: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of C that are tried, from the strongest penalty to the weakest."""
_NUM_FOLDS = 5
_TOLERANCE = 1e-6
"""Of the mean loss' gradient at the solution: predictions move by less than rounding of the states does."""


@dataclass(frozen=True, kw_only=True)
class LinearProbe:
    """What a probe predicts, and how it was chosen."""

    predicted: np.ndarray
    """(m,) int64 labels of the examples it is scored on."""
    accuracy: float
    """Share of them that is right, 0 to 1."""
    majority_accuracy: float
    """The share that would be right if each were given the commonest label it was fitted on (the lower of two)."""
    C: float
    """The chosen one of `STRENGTHS`."""
    mean_log_losses: tuple[float, ...]
    """Cross-validated loss at each of `STRENGTHS`, nats per example."""
    num_folds: int


def linear_probe(
    X: np.ndarray, labels: np.ndarray, X_scored: np.ndarray, labels_scored: np.ndarray, *, seed: int
) -> LinearProbe:
    """Fits an L2-regularised logistic regression to X and scores it on other examples (Alain and Bengio, 2016, arXiv:1610.01644).

    Features are standardised by mean and standard deviation of X; a feature that is constant in X stays 0. What is minimised
    is C times the sum over examples of -log p(label) plus half the squared norm of the weights, intercepts free
    (scikit-learn's LogisticRegression): one weight vector for two labels, one a label for more (softmax). C has the lowest log loss in stratified cross-validation within X, the strongest penalty of those
    that are equal; log loss and not accuracy, which moves in steps of one example. 5 folds, or as many as the rarest label has
    examples. What it does not promise: that a label cannot be read is a finding about linear readers, n examples and this
    penalty; states may hold it in another form.

    Args:
        X: (n, d) representations to fit on; any float dtype, computed in float64.
        labels: (n,) whole numbers, two labels or more, two examples or more of each.
        X_scored: (m, d) representations to score on; nothing of them bears on the fit.
        labels_scored: (m,) whole numbers; a label that `labels` lacks is never predicted.
        seed: Of the folds.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, X is constant, there are fewer than two labels or two
            examples of one, or a fit does not converge.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(60) % 2
        >>> X = labels[:, None] + 0.1 * rng.normal(size=(60, 3))
        >>> linear_probe(X[:40], labels[:40], X[40:], labels[40:], seed=0).accuracy
        1.0
    """
    X = checks.matrix("linear_probe", "X", X)
    X_scored = checks.matrix("linear_probe", "X_scored", X_scored)
    if X.shape[1] != X_scored.shape[1]:
        raise ValueError(
            f"linear_probe: X and X_scored must have the same features, got {X.shape[1]} and {X_scored.shape[1]}."
        )
    labels = _whole_numbers("labels", labels, len(X))
    labels_scored = _whole_numbers("labels_scored", labels_scored, len(X_scored))
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise ValueError(f"linear_probe: labels must be of two kinds or more, got {names[0]} alone.")
    if counts.min() < 2:
        raise ValueError(
            f"linear_probe: needs two examples of each label to choose a penalty, label {names[counts.argmin()]} has one."
        )
    checks.centred("linear_probe", "X", X)  # refuses a constant
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    varies = deviation > 1e-12 * np.abs(mean)  # less is the rounding of a constant
    scale = np.where(varies, deviation, np.inf)
    X, X_scored = (X - mean) / scale, (X_scored - mean) / scale
    num_folds = min(_NUM_FOLDS, int(counts.min()))
    losses = _cross_validated(X, labels, seed, num_folds)
    chosen = int(np.argmin(losses))  # the first of equal ones: the strongest penalty
    # From the same start as in the folds, so that the solution is the one whose loss was compared.
    predicted = _path(X, labels, STRENGTHS[: chosen + 1])[-1].predict(X_scored).astype(np.int64)
    return LinearProbe(
        predicted=predicted,
        accuracy=float((predicted == labels_scored).mean()),
        majority_accuracy=float((labels_scored == names[counts.argmax()]).mean()),
        C=STRENGTHS[chosen],
        mean_log_losses=tuple(float(loss) for loss in losses),
        num_folds=num_folds,
    )


def _whole_numbers(name: str, given: np.ndarray, num_examples: int) -> np.ndarray:
    given = np.asarray(given)
    if given.shape != (num_examples,) or given.dtype.kind not in "iub":
        raise ValueError(
            f"linear_probe: {name} must be {num_examples} whole numbers, one an example, got shape {given.shape} of "
            f"{given.dtype}."
        )
    return given.astype(np.int64)


def _cross_validated(X: np.ndarray, labels: np.ndarray, seed: int, num_folds: int) -> np.ndarray:
    """(strengths,) mean over all examples of -log p(label), each by the fold that did not see it."""
    from scipy.special import logsumexp
    from sklearn.model_selection import StratifiedKFold

    losses = np.zeros(len(STRENGTHS))
    for seen, held in StratifiedKFold(num_folds, shuffle=True, random_state=seed).split(X, labels):
        for which, fitted in enumerate(_path(X[seen], labels[seen], STRENGTHS)):
            scores = fitted.decision_function(X[held])
            if scores.ndim == 1:  # of two labels, the second one's beside 0
                scores = np.stack([np.zeros_like(scores), scores], axis=1)
            column = np.searchsorted(fitted.classes_, labels[held])
            losses[which] += (logsumexp(scores, axis=1) - scores[np.arange(len(held)), column]).sum()
    return losses / len(labels)


def _path(X: np.ndarray, labels: np.ndarray, strengths: Sequence[float]) -> list[Any]:
    """A regression per strength, each begun from the solution before it."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(max_iter=10_000, tol=_TOLERANCE, warm_start=True)
    fitted = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        for strength in strengths:
            try:
                probe.set_params(C=strength).fit(X, labels)
            except ConvergenceWarning as warning:
                raise ValueError(
                    f"linear_probe: the probe with C = {strength:g} did not converge in 10,000 iterations."
                ) from warning
            fitted.append(copy.deepcopy(probe))
    return fitted
