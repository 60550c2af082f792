"""Whether two representations tell a linear probe the same: labels predicted from each, and how often the predictions agree.

Legend: n examples; d features; X, Y (n, d_x), (n, d_y); c classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunescope.similarity import checks


@dataclass(frozen=True, kw_only=True)
class ProbeAgreement:
    """How alike two probes answer, and what that is worth."""

    agreement: float
    """Share of examples that both probes give the same label, 0 to 1."""
    chance_agreement: float
    """The share if each answered as often with each label, but by lot."""
    kappa: float | None
    """Cohen's: (agreement - chance) / (1 - chance); None where both always answer with one and the same label."""
    accuracy_x: float
    accuracy_y: float
    """Share of examples whose label the probe of Y gives. Two probes that are right agree, however unlike X and Y are."""
    num_examples: int


def probe_agreement(
    X: np.ndarray, Y: np.ndarray, labels: Sequence[int] | np.ndarray, seed: int, *, num_folds: int = 5
) -> ProbeAgreement:
    """Trains a linear probe on X and one on Y and compares what they predict of examples they did not see.

    Probes (Alain and Bengio, 2016, arXiv:1610.01644) are L2-regularised logistic regressions (scikit-learn, C = 1) of features
    standardised on the training folds; each example is predicted once, in stratified cross-validation over the same folds for
    both. Beside the agreement stand what chance gives (Cohen, 1960, doi:10.1177/001316446002000104) and both accuracies. What is linearly
    readable may be a small part of a representation: agreement is of tasks, not of geometry.

    Args:
        X: (n, d_x) n examples, d_x features; any float dtype, computed in float64.
        Y: (n, d_y) the same n examples in the same order; d_y may differ from d_x.
        labels: (n,) whole numbers, a class each, two or more classes.
        seed: Of the folds.
        num_folds: Of the cross-validation; each class needs as many examples.

    Raises:
        ValueError: If X and Y differ in n, a value is not finite, either is constant, labels are not n whole numbers of two
            classes or more, a class has fewer than `num_folds` examples, `num_folds` < 2, or a probe does not converge.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(60) % 2
        >>> X = labels[:, None] + 0.1 * rng.normal(size=(60, 3))
        >>> probe_agreement(X, 2.0 * X, labels, seed=0).agreement
        1.0
    """
    X, Y = checks.paired("probe_agreement", X, Y, min_examples=4)
    for name, side in (("X", X), ("Y", Y)):
        checks.centred("probe_agreement", name, side)
    classes = _checked_labels(labels, len(X), num_folds)
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    of_x, of_y = np.empty_like(classes), np.empty_like(classes)
    for train, test in folds.split(X, classes):
        of_x[test] = _predicted(X[train], classes[train], X[test])
        of_y[test] = _predicted(Y[train], classes[train], Y[test])
    agreement = float((of_x == of_y).mean())
    num_classes = int(classes.max()) + 1
    shares_x, shares_y = (np.bincount(of, minlength=num_classes) / len(of) for of in (of_x, of_y))
    chance = float(shares_x @ shares_y)
    return ProbeAgreement(
        agreement=agreement,
        chance_agreement=chance,
        kappa=(agreement - chance) / (1.0 - chance) if chance < 1.0 else None,
        accuracy_x=float((of_x == classes).mean()),
        accuracy_y=float((of_y == classes).mean()),
        num_examples=len(X),
    )


def _checked_labels(labels: Sequence[int] | np.ndarray, num_examples: int, num_folds: int) -> np.ndarray:
    """The labels as classes 0..c - 1."""
    given = np.asarray(labels)
    if given.shape != (num_examples,) or given.dtype.kind not in "iub":
        raise ValueError(
            f"probe_agreement: labels must be {num_examples} whole numbers, one an example, got shape {given.shape} of "
            f"{given.dtype}."
        )
    if num_folds < 2:
        raise ValueError(f"probe_agreement: needs at least 2 folds, got {num_folds}.")
    names, classes, counts = np.unique(given, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError(f"probe_agreement: labels must be of two classes or more, got {names[0]} alone.")
    if counts.min() < num_folds:
        raise ValueError(
            f"probe_agreement: each class needs at least {num_folds} examples, one a fold; class {names[counts.argmin()]} has "
            f"{counts.min()}."
        )
    return np.asarray(classes)


def _predicted(X: np.ndarray, classes: np.ndarray, X_new: np.ndarray) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            probe.fit(X, classes)
        except ConvergenceWarning as warning:
            raise ValueError("probe_agreement: a probe did not converge in 5,000 iterations.") from warning
    return np.asarray(probe.predict(X_new))
