"""How single examples bear on a score, as far as variance goes: what `tunescope.stats.power` needs to know of a score.

For a mean this is the variance of its terms; for F1 and the Matthews correlation the delta method gives each example's
influence, from an assumed confusion table (Efron & Tibshirani, 1993, chapter 21).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How single examples bear on a score, as far as variance goes; made by `accuracy_spread` and its neighbours."""

    variance: float
    """Variance over examples of one run's influence values (what each example adds to the score): p (1 - p) for accuracy."""
    swing: float
    """Mean square of the change of an example's influence where two runs differ in its correctness: 1 for accuracy."""
    tilt: float
    """Mean of that change: how much a share of examples won, and none lost, moves the score: 1 for accuracy."""


def accuracy_spread(accuracy: float) -> Spread:
    """Of a share of right answers: variance p (1 - p), swing and tilt 1.

    Raises:
        ValueError: If accuracy is not within [0, 1].
    """
    check_within("accuracy", accuracy, 0.0, 1.0)
    return Spread(variance=accuracy * (1.0 - accuracy), swing=1.0, tilt=1.0)


def mean_spread(sd: float) -> Spread:
    """Of a mean of per-example scores in [0, 1], such as SQuAD's F1, from their standard deviation.

    Where two runs disagree the score is taken to move by 1, the most it can: intervals are, if anything, too wide.

    Raises:
        ValueError: If sd is not within [0, 0.5], the range a score in [0, 1] can have.
    """
    check_within("sd", sd, 0.0, 0.5)
    return Spread(variance=sd**2, swing=1.0, tilt=1.0)


def f1_spread(accuracy: float, positive_share: float) -> Spread:
    """Of the F1 of two classes, by the delta method, both classes being assumed equally often right.

    With F = 2 tp / (2 tp + fp + fn) an example adds (2 (1 - F) / T, -F / T, -F / T, 0) less the mean for tp, fp, fn, tn;
    T = 2 tp + fp + fn in shares.

    Args:
        accuracy: Share of right answers, of either class, in (0, 1].
        positive_share: Share of examples of the positive class, in (0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    tp, fp, fn, _ = _confusion(accuracy, positive_share)
    total = 2.0 * tp + fp + fn
    score = 2.0 * tp / total
    return _influence_spread(
        2.0 * (1.0 - score) / total,
        -score / total,
        -score / total,
        0.0,
        accuracy=accuracy,
        positive_share=positive_share,
    )


def matthews_spread(accuracy: float, positive_share: float) -> Spread:
    """Of the Matthews correlation of two classes, by the delta method, both classes being assumed equally often right.

    M = (tp tn - fp fn) / sqrt(P Q R N), with P = tp + fp, Q = tp + fn, R = tn + fp, N = tn + fn in shares; an example
    adds the derivative of M by its cell, less the mean.

    Args:
        accuracy: Share of right answers, of either class, in (0, 1).
        positive_share: Share of examples of the positive class, in (0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    check_within("accuracy", accuracy, 1e-9, 1.0 - 1e-9)
    tp, fp, fn, tn = _confusion(accuracy, positive_share)
    p, q, r, n = tp + fp, tp + fn, tn + fp, tn + fn
    root = math.sqrt(p * q * r * n)
    score = (tp * tn - fp * fn) / root
    return _influence_spread(
        tn / root - score / 2.0 * (1.0 / p + 1.0 / q),
        -fn / root - score / 2.0 * (1.0 / p + 1.0 / r),
        -fp / root - score / 2.0 * (1.0 / q + 1.0 / n),
        tp / root - score / 2.0 * (1.0 / r + 1.0 / n),
        accuracy=accuracy,
        positive_share=positive_share,
    )


def _confusion(accuracy: float, positive_share: float) -> tuple[float, float, float, float]:
    check_within("accuracy", accuracy, 1e-9, 1.0)
    check_within("positive_share", positive_share, 1e-9, 1.0 - 1e-9)
    wrong, negative = 1.0 - accuracy, 1.0 - positive_share
    return positive_share * accuracy, negative * wrong, positive_share * wrong, negative * accuracy


def _influence_spread(tp: float, fp: float, fn: float, tn: float, *, accuracy: float, positive_share: float) -> Spread:
    """Of derivatives by cell: variance within and between the classes, and the change from wrong to right in each."""
    positive, negative = positive_share, 1.0 - positive_share
    changes, mean_gap = (
        (tp - fn, tn - fp),
        (accuracy * tp + (1 - accuracy) * fn) - (accuracy * tn + (1 - accuracy) * fp),
    )
    swing = positive * changes[0] ** 2 + negative * changes[1] ** 2
    return Spread(
        variance=accuracy * (1.0 - accuracy) * swing + positive * negative * mean_gap**2,
        swing=swing,
        tilt=positive * changes[0] + negative * changes[1],
    )


def check_within(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError unless low <= value <= high; NaN fails too."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be within [{low:g}, {high:g}], got {value}")
