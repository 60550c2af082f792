"""Simulated studies for `calibration.py`: right and wrong answers of two methods, from a logistic random-effects model.

Example i, method a, seed s is answered rightly with probability 1 / (1 + exp(-eta)),

    eta = mu_a + theta_i + phi_ai + u_as +- w_as

theta_i   how easy the example is, for both methods
phi_ai    how much easier for this method: with theta, what makes the methods disagree and would repeat with other seeds
u_as      how good the seed came out; the two methods' seeds correlate by `seed_correlation`
w_as      how far the seed leans to the positive class: + for positive examples, - for negative ones
coin      the draw itself, the seed x example residual: what two seeds of one method disagree on

all normal. `World` is tuned by quadrature to its method A: mean accuracy, standard deviation over seeds of the accuracy on
infinitely many examples, share of examples on which two seeds of one method and one seed of both methods disagree (the last
two before u and w, which add to them). The true difference is the mean over seeds of the score on infinitely many examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

POSITIVE_SHARE = 0.5
CLASS_LEAN = 0.01
"""Standard deviation over seeds of what w adds to the accuracy of one class."""
DISAGREEMENT = {0.70: (0.10, 0.15), 0.85: (0.06, 0.10), 0.92: (0.03, 0.05)}
"""By accuracy: shares of examples on which two seeds, and two methods, disagree."""

_Z = np.linspace(-8.0, 8.0, 641)
_DENSITY = np.exp(-(_Z**2) / 2.0) / np.exp(-(_Z**2) / 2.0).sum()
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_GRID = np.linspace(-40.0, 60.0, 2001)


@dataclass(frozen=True)
class World:
    """Two methods; A has `accuracy`, B `difference` less."""

    accuracy: float
    seed_sd: float
    difference: float
    seed_correlation: float

    @property
    def spread(self) -> float:
        """Standard deviation over examples of theta + phi."""
        return _spread(self.accuracy)

    @property
    def shared(self) -> float:
        """Share of that variance that is theta's."""
        return _shared(self.accuracy)

    @cached_property
    def lean(self) -> float:
        """Standard deviation of w."""
        return CLASS_LEAN / (DISAGREEMENT[self.accuracy][0] / 2.0)  # d accuracy / d eta = E[P (1 - P)]

    @cached_property
    def seed_effect(self) -> float:
        """Standard deviation of u."""
        return _solve(lambda sd: self._moments(self._centre_of(self.accuracy, sd), sd)[1], self.seed_sd, 1e-4, 10.0)

    @cached_property
    def centres(self) -> tuple[float, float]:
        """mu of A and of B."""
        return (
            self._centre_of(self.accuracy, self.seed_effect),
            self._centre_of(self.accuracy - self.difference, self.seed_effect),
        )

    @cached_property
    def true_difference(self) -> dict[str, float]:
        """By score, A - B."""
        scores = []
        for centre in self.centres:
            positive, negative, weights = self._class_accuracies(centre, self.seed_effect)
            tp, fn = POSITIVE_SHARE * positive, POSITIVE_SHARE * (1.0 - positive)
            fp = (1.0 - POSITIVE_SHARE) * (1.0 - negative)
            right = POSITIVE_SHARE * positive + (1.0 - POSITIVE_SHARE) * negative
            scores.append((float(weights @ right), float(weights @ (2.0 * tp / (2.0 * tp + fp + fn)))))
        return {"accuracy": scores[0][0] - scores[1][0], "f1": scores[0][1] - scores[1][1]}

    def draw(self, num_seeds: int, num_examples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Labels (n,) of 0 and 1, and whether each answer is right, (2, S, n) bool."""
        positive = rng.random(num_examples) < POSITIVE_SHARE
        normal = rng.standard_normal((3, num_examples), dtype=np.float32)
        easy = self.spread * (np.sqrt(self.shared) * normal[0] + np.sqrt(1.0 - self.shared) * normal[1:])
        common, own = rng.standard_normal((2, 1, num_seeds)), rng.standard_normal((2, 2, num_seeds))
        effects = np.sqrt(self.seed_correlation) * common + np.sqrt(1.0 - self.seed_correlation) * own
        quality = self.seed_effect * effects[0] + np.asarray(self.centres)[:, None]
        side = np.where(positive, np.float32(self.lean), np.float32(-self.lean))
        eta = easy.astype(np.float32)[:, None, :] + quality.astype(np.float32)[:, :, None]
        eta += effects[1].astype(np.float32)[:, :, None] * side
        coin = rng.random(eta.shape, dtype=np.float32)
        return positive.astype(np.int64), coin * (1.0 + np.exp(-eta)) < 1.0

    @cached_property
    def _accuracies(self) -> np.ndarray:
        """Accuracy on infinitely many examples by mu, over `_GRID`."""
        return np.array([float(_DENSITY @ _sigmoid(centre + self.spread * _Z)) for centre in _GRID])

    def _class_accuracies(self, centre: float, sd: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Accuracy on positives and negatives of infinitely many examples over a grid of seeds, and the grid's weights."""
        u, w = np.meshgrid(sd * _NODES, self.lean * _NODES, indexing="ij")
        positive, negative = (np.interp(centre + at.ravel(), _GRID, self._accuracies) for at in (u + w, u - w))
        return positive, negative, np.outer(_WEIGHTS, _WEIGHTS).ravel()

    def _moments(self, centre: float, sd: float) -> tuple[float, float]:
        positive, negative, weights = self._class_accuracies(centre, sd)
        right = POSITIVE_SHARE * positive + (1.0 - POSITIVE_SHARE) * negative
        mean = float(weights @ right)
        return mean, float(np.sqrt(weights @ (right - mean) ** 2))

    def _centre_of(self, accuracy: float, sd: float) -> float:
        return _solve(lambda centre: self._moments(centre, sd)[0], accuracy, -30.0, 90.0, steps=40)


@cache
def _spread(accuracy: float) -> float:
    """Two seeds disagree on 2 E[P (1 - P)]."""

    def agreement(spread: float) -> float:
        right = _sigmoid(_centre(accuracy, spread) + spread * _Z)
        return -2.0 * float(_DENSITY @ (right * (1.0 - right)))

    return _solve(agreement, -DISAGREEMENT[accuracy][0], 0.01, 60.0)


@cache
def _shared(accuracy: float) -> float:
    """Two methods disagree on 2 (p - E[P_A P_B])."""
    centre = _centre(accuracy, _spread(accuracy))
    density = _DENSITY[::3] / _DENSITY[::3].sum()

    def agreement(shared: float) -> float:
        easy, own = _spread(accuracy) * np.sqrt(shared) * _Z[::3], _spread(accuracy) * np.sqrt(1.0 - shared) * _Z[::3]
        given_easy = _sigmoid(centre + easy[:, None] + own[None, :]) @ density
        return 2.0 * float(density @ given_easy**2) - 2.0 * accuracy

    return _solve(agreement, -DISAGREEMENT[accuracy][1], 1e-6, 1.0 - 1e-6, steps=25)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _centre(accuracy: float, spread: float) -> float:
    return _solve(lambda centre: float(_DENSITY @ _sigmoid(centre + spread * _Z)), accuracy, -300.0, 300.0)


def _solve(function, wanted: float, low: float, high: float, steps: int = 50) -> float:  # type: ignore[no-untyped-def]
    """Where an increasing function takes a value, by bisection."""
    for _ in range(steps):
        middle = (low + high) / 2.0
        low, high = (middle, high) if function(middle) < wanted else (low, middle)
    return (low + high) / 2.0
