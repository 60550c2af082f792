"""Scores as smooth functions of per-example means, so that examples can be resampled and their influence is known.

Accuracy is the mean of n zeros and ones; F1, a correlation or an RMSE is no mean, but a function g of a few means:

    score = g(m),   m = (1/n) sum_i c_i,   c_i the (k,) components of example i

Resampling then needs only weighted means of c, and the delta method only the gradient of g: the influence of example i is
g(m) + g'(m) . (c_i - m), whose mean over examples is the score itself (Efron & Tibshirani, 1993, chapter 21).

Legend: n examples, k components, K label ids, y targets, p predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_STEP = 1e-30
"""Complex step of the gradient: no cancellation, so it may be as small as floats allow."""
_CONSTANT = 1e-13
"""A share or a standardised variance below this is 0 but for rounding."""


@dataclass(frozen=True, kw_only=True)
class ScoreOfMeans:
    """A score of n examples that depends on them through the means of k components only."""

    name: str
    """As `tunescope.tasks` names it, where it has the score; else "mean" or "conditional_mean"."""
    components: Callable[[Any, Any], np.ndarray]
    """(targets, predictions) -> (n, k) float64. What both must be stands in `description`; wrong ones raise ValueError."""
    combine: Callable[[np.ndarray], np.ndarray]
    """(..., k) means -> (...) scores; NaN where the score is undefined for such means (0/0), for the caller to name.
    Analytic, so that complex means give the gradient."""
    higher_is_better: bool
    description: str
    """Formula, arguments and source."""

    def gradient(self, means: np.ndarray) -> np.ndarray:
        """Derivative of `combine` by each mean, exact to rounding by the complex step (Squire & Trapp, 1998).

        Args:
            means: (..., k) real means where the score is defined.

        Returns:
            (..., k) float64, score units per component unit.
        """
        means = np.asarray(means, dtype=np.float64)
        columns = []
        for j in range(means.shape[-1]):
            stepped = means.astype(np.complex128)
            stepped[..., j] += 1j * _STEP
            columns.append(np.imag(self.combine(stepped)) / _STEP)
        return np.stack(columns, axis=-1)

    def score(self, components: np.ndarray) -> np.ndarray:
        """Scores of (..., n, k) components, (...): `combine` of their means over examples; NaN where undefined."""
        scores: np.ndarray = np.real(self.combine(np.asarray(components, dtype=np.float64).mean(axis=-2)))
        return scores

    def influence(self, components: np.ndarray) -> np.ndarray:
        """First-order influence of every example, shifted so that the mean over examples is the score.

        h_i = g(m) + g'(m) . (c_i - m). For a score that is itself a mean, h_i = c_i.

        Args:
            components: (..., n, k), finite.

        Returns:
            (..., n) float64, in the score's unit.

        Raises:
            ValueError: If the score is undefined for these examples.
        """
        components = np.asarray(components, dtype=np.float64)
        means = components.mean(axis=-2)
        scores = np.real(self.combine(means))
        if not np.isfinite(scores).all():
            raise ValueError(f"{self.name}: undefined (0/0) for these examples, so no example has an influence on it")
        centred = components - means[..., None, :]
        values: np.ndarray = scores[..., None] + np.einsum("...nk,...k->...n", centred, self.gradient(means))
        return values


def score_of_means(name: str, *, num_labels: int | None = None) -> ScoreOfMeans:
    """The score called `name`.

    Args:
        name: One of `NAMES`.
        num_labels: K, for macro_f1 and matthews: label ids are 0..K-1, whether all of them occur or not, so that all
            seeds have the same components. Others need none.

    Raises:
        ValueError: If the name is unknown, or K is missing, below 2 or not for this score.
    """
    if name in _OF_LABELS:
        if num_labels is None or num_labels < 2:
            raise ValueError(f"{name}: num_labels must be 2 or more, got {num_labels}")
        return _OF_LABELS[name](num_labels)
    if name not in _PLAIN:
        raise ValueError(f"unknown score of means '{name}'; known: {', '.join(NAMES)}")
    return _PLAIN[name]


def _accuracy_components(targets: Any, predictions: Any) -> np.ndarray:
    targets, predictions = _labels("accuracy", targets, predictions, None)
    correct: np.ndarray = (targets == predictions).astype(np.float64)[:, None]
    return correct


def _first(means: np.ndarray) -> np.ndarray:
    return means[..., 0]


def _f1_components(targets: Any, predictions: Any) -> np.ndarray:
    targets, predictions = _labels("f1", targets, predictions, 2)
    return np.stack([targets & predictions, predictions, targets], axis=-1).astype(np.float64)


def _f1_of_means(means: np.ndarray) -> np.ndarray:
    return _ratio(2.0 * means[..., 0], means[..., 1] + means[..., 2])


def _macro_f1(num_labels: int) -> ScoreOfMeans:
    def components(targets: Any, predictions: Any) -> np.ndarray:
        true, predicted = _one_hot("macro_f1", targets, predictions, num_labels)
        return np.concatenate([true * predicted, predicted, true], axis=-1)

    def combine(means: np.ndarray) -> np.ndarray:
        hits, predicted, true = np.split(means, 3, axis=-1)
        occurs = np.real(predicted + true) > 0.0
        f1 = np.where(occurs, 2.0 * hits, 0.0) / np.where(occurs, predicted + true, 1.0)
        return _ratio(f1.sum(axis=-1), occurs.sum(axis=-1))

    return ScoreOfMeans(
        name="macro_f1",
        components=components,
        combine=combine,
        higher_is_better=True,
        description="Mean over the classes that occur in y or p of 2 TP / (2 TP + FP + FN); components per class: hit, "
        "predicted, true. Targets and predictions: (n,) label ids below K (scikit-learn, f1_score).",
    )


def _matthews(num_labels: int) -> ScoreOfMeans:
    def components(targets: Any, predictions: Any) -> np.ndarray:
        true, predicted = _one_hot("matthews", targets, predictions, num_labels)
        return np.concatenate([(true * predicted).sum(axis=-1, keepdims=True), predicted, true], axis=-1)

    def combine(means: np.ndarray) -> np.ndarray:
        hits, predicted, true = means[..., 0], means[..., 1 : 1 + num_labels], means[..., 1 + num_labels :]
        spread_predicted = (predicted * (1.0 - predicted)).sum(axis=-1)
        spread_true = (true * (1.0 - true)).sum(axis=-1)
        above_chance = hits - (predicted * true).sum(axis=-1)
        constant = np.real(spread_predicted) < _CONSTANT
        value = np.where(constant, 0.0, above_chance) / np.sqrt(
            np.where(constant, 1.0, spread_predicted) * np.where(np.real(spread_true) < _CONSTANT, 1.0, spread_true)
        )
        return np.where(np.real(spread_true) < _CONSTANT, np.nan, value)

    return ScoreOfMeans(
        name="matthews",
        components=components,
        combine=combine,
        higher_is_better=True,
        description="R_K = (h - sum_k p_k t_k) / sqrt((1 - sum_k p_k^2)(1 - sum_k t_k^2)), h the share of hits, p_k and t_k "
        "shares predicted and true of class k; Matthews correlation at K = 2; 0 for constant predictions, undefined for "
        "constant targets. Targets and predictions: (n,) label ids below K (Gorodkin, 2004, "
        "doi:10.1016/j.compbiolchem.2004.09.006).",
    )


def _pearson_components(targets: Any, predictions: Any) -> np.ndarray:
    x, y = _numbers("pearson", targets, predictions)
    x, y = _standardised("pearson", "targets", x), _standardised("pearson", "predictions", y)
    return np.stack([x, y, x * x, y * y, x * y], axis=-1)


def _pearson_of_means(means: np.ndarray) -> np.ndarray:
    x, y, xx, yy, xy = (means[..., j] for j in range(5))
    return _correlation(xy - x * y, xx - x * x, yy - y * y)


def _spearman_components(targets: Any, predictions: Any) -> np.ndarray:
    x, y = _numbers("spearman", targets, predictions)
    _standardised("spearman", "targets", x), _standardised("spearman", "predictions", y)
    u, v = _mid_shares(x), _mid_shares(y)
    xy = u * v + _mean_above(x, v) + _mean_above(y, u) - 2.0 * np.mean(u * v)
    xx = u * u + 2.0 * _mean_above(x, u) - 2.0 * np.mean(u * u)
    yy = v * v + 2.0 * _mean_above(y, v) - 2.0 * np.mean(v * v)
    return 12.0 * (np.stack([xy, xx, yy], axis=-1) - 0.25)


def _spearman_of_means(means: np.ndarray) -> np.ndarray:
    return _correlation(means[..., 0], means[..., 1], means[..., 2])


def _squared_error_components(targets: Any, predictions: Any) -> np.ndarray:
    x, y = _numbers("mse", targets, predictions)
    with np.errstate(over="ignore"):  # an overflow is refused in the next line, by name
        squared: np.ndarray = np.square(x - y)[:, None]
    if not np.isfinite(squared).all():
        raise ValueError("mse: a squared error overflows float64")
    return squared


def _rmse_of_means(means: np.ndarray) -> np.ndarray:
    root: np.ndarray = np.sqrt(means[..., 0])
    return root


def _mean_components(targets: Any, predictions: Any) -> np.ndarray:
    values = np.asarray(predictions, dtype=np.float64)
    _check("mean", values, values)
    return values[:, None]


def _conditional_components(targets: Any, predictions: Any) -> np.ndarray:
    values, chosen = np.asarray(predictions, dtype=np.float64), np.asarray(targets)
    _check("conditional_mean", chosen, values)
    if not np.isin(chosen, (0, 1)).all():
        raise ValueError("conditional_mean: targets must say of each example whether it counts, True or False")
    chosen = chosen.astype(np.float64)
    return np.stack([chosen * values, chosen], axis=-1)


def _complement_components(targets: Any, predictions: Any) -> np.ndarray:
    chosen = np.asarray(targets)
    if not np.isin(chosen, (0, 1)).all():
        raise ValueError("squad_no_answer_accuracy: targets must say of each question whether it has an answer")
    return _conditional_components(1 - chosen.astype(np.int64), predictions)


def _ratio_of_means(means: np.ndarray) -> np.ndarray:
    return _ratio(means[..., 0], means[..., 1])


def _plain(
    name: str,
    components: Callable[[Any, Any], np.ndarray],
    combine: Callable[[np.ndarray], np.ndarray],
    description: str,
    *,
    higher_is_better: bool = True,
) -> ScoreOfMeans:
    return ScoreOfMeans(
        name=name, components=components, combine=combine, higher_is_better=higher_is_better, description=description
    )


_NUMBERS = "Targets and predictions: (n,) finite numbers."
_QUESTIONS = "Targets: (n,) whether a question has an answer; predictions: (n,) its"

_PLAIN: Mapping[str, ScoreOfMeans] = {
    score.name: score
    for score in (
        _plain("accuracy", _accuracy_components, _first, "Mean of [y = p]. Targets and predictions: (n,) label ids."),
        _plain(
            "f1",
            _f1_components,
            _f1_of_means,
            "2 TP / (2 TP + FP + FN) = 2 mean[y p] / (mean[p] + mean[y]). Targets and predictions: (n,) of 0 and 1.",
        ),
        _plain(
            "pearson",
            _pearson_components,
            _pearson_of_means,
            f"cov(y, p) / (sd(y) sd(p)) of the means of y, p, y^2, p^2, y p, each side first shifted and scaled to mean 0 "
            f"and variance 1, which changes no correlation and keeps digits. {_NUMBERS}",
        ),
        _plain(
            "spearman",
            _spearman_components,
            _spearman_of_means,
            "Pearson of the whole sample's mid-ranks. An example moves the ranks of all others, so its components hold its "
            "own term and that effect on the others (Hajek projection of the three moments): with ranks taken as fixed "
            f"values the standard error would be too small at high correlation. {_NUMBERS}",
        ),
        _plain("mse", _squared_error_components, _first, f"Mean of (y - p)^2. {_NUMBERS}", higher_is_better=False),
        _plain("rmse", _squared_error_components, _rmse_of_means, f"sqrt(mse). {_NUMBERS}", higher_is_better=False),
        _plain("squad_exact", _mean_components, _first, f"Mean over questions. {_QUESTIONS} exact match."),
        _plain("squad_f1", _mean_components, _first, f"Mean over questions. {_QUESTIONS} token F1."),
        _plain(
            "squad_has_answer_exact",
            _conditional_components,
            _ratio_of_means,
            f"Mean over questions with an answer. {_QUESTIONS} exact match.",
        ),
        _plain(
            "squad_has_answer_f1",
            _conditional_components,
            _ratio_of_means,
            f"Mean over questions with an answer. {_QUESTIONS} token F1.",
        ),
        _plain(
            "squad_no_answer_accuracy",
            _complement_components,
            _ratio_of_means,
            f"Mean over questions without an answer. {_QUESTIONS} exact match.",
        ),
        _plain("mean", _mean_components, _first, "Mean of the predictions: (n,) numbers; targets are not looked at."),
        _plain(
            "conditional_mean",
            _conditional_components,
            _ratio_of_means,
            "Mean of the examples that count. Targets: (n,) whether an example counts; predictions: (n,) its number.",
        ),
    )
}
_OF_LABELS: Mapping[str, Callable[[int], ScoreOfMeans]] = {"macro_f1": _macro_f1, "matthews": _matthews}

NAMES: tuple[str, ...] = (*_PLAIN, *_OF_LABELS)
"""Every score that `score_of_means` knows."""


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    zero = np.real(denominator) <= 0.0
    return np.where(zero, np.nan, numerator / np.where(zero, 1.0, denominator))


def _correlation(xy: np.ndarray, xx: np.ndarray, yy: np.ndarray) -> np.ndarray:
    constant = (np.real(xx) < _CONSTANT) | (np.real(yy) < _CONSTANT)
    return np.where(constant, np.nan, xy / np.sqrt(np.where(constant, 1.0, xx * yy)))


def _mid_shares(x: np.ndarray) -> np.ndarray:
    """Share of the sample below x_i, ties half: (mid-rank - 1/2) / n."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    shares: np.ndarray = ((np.cumsum(counts) - counts / 2.0) / x.size)[place]
    return shares


def _mean_above(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(1/n) times the sum of `values` where x_j > x_i, ties half: what x_i adds to the ranks of the others."""
    _, place = np.unique(x, return_inverse=True)
    sums = np.bincount(place, weights=values)
    above: np.ndarray = ((sums.sum() - np.cumsum(sums) + sums / 2.0) / x.size)[place]
    return above


def _standardised(name: str, role: str, values: np.ndarray) -> np.ndarray:
    if values.min() == values.max():
        raise ValueError(f"{name}: undefined, as all {len(values)} {role} are equal, {values[0]}")
    centred = values - values.mean()
    centred /= np.abs(centred).max()
    centred /= centred.std()
    scaled: np.ndarray = centred - centred.mean()
    return scaled


def _one_hot(name: str, targets: Any, predictions: Any, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    targets, predictions = _labels(name, targets, predictions, num_labels)
    identity = np.eye(num_labels)
    return identity[targets], identity[predictions]


def _labels(name: str, targets: Any, predictions: Any, num_labels: int | None) -> tuple[np.ndarray, np.ndarray]:
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    _check(name, targets, predictions)
    for role, labels in (("targets", targets), ("predictions", predictions)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{name}: {role} must be integer label ids, got {labels.dtype}")
        if labels.min() < 0 or (num_labels is not None and labels.max() >= num_labels):
            top = "any" if num_labels is None else num_labels - 1
            raise ValueError(f"{name}: {role} must be label ids from 0 to {top}, got {labels.min()} to {labels.max()}")
    return targets, predictions


def _numbers(name: str, targets: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    targets, predictions = np.asarray(targets, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    _check(name, targets, predictions)
    return targets, predictions


def _check(name: str, targets: np.ndarray, predictions: np.ndarray) -> None:
    if predictions.ndim != 1 or targets.shape != predictions.shape:
        raise ValueError(
            f"{name}: targets and predictions must both be (n,), of the same examples, "
            f"got {targets.shape} and {predictions.shape}"
        )
    if predictions.size == 0:
        raise ValueError(f"{name}: at least one example is needed, got none")
    for role, values in (("targets", targets), ("predictions", predictions)):
        if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
            raise ValueError(f"{name}: {role} must be finite")
