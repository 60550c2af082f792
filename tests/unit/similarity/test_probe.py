"""Linear probes: what both can read they agree on; what neither can they agree on by chance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tunescope.similarity import probe
from tunescope.similarity.probe import probe_agreement


def _task(n=120, signal=3.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size=n)
    X = rng.normal(size=(n, 5))
    X[:, 0] += signal * labels
    return X, labels


def test_a_rotation_is_read_alike():
    X, labels = _task(signal=2.0)
    Q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))
    found = probe_agreement(X, X @ Q, labels, seed=0)
    assert found.agreement > 0.95
    assert found.accuracy_x > 0.75
    assert found.num_examples == 120


def test_features_that_tell_nothing_agree_by_chance():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    found = probe_agreement(rng.normal(size=(400, 3)), rng.normal(size=(400, 4)), labels, seed=0)
    assert found.agreement == pytest.approx(found.chance_agreement, abs=0.1)
    assert found.kappa == pytest.approx(0.0, abs=0.15)
    assert found.accuracy_x == pytest.approx(0.5, abs=0.1)


def test_two_probes_that_are_right_agree_however_unlike_the_representations():
    X, labels = _task(signal=20.0)
    Y = np.random.default_rng(5).normal(size=(120, 2))
    Y[:, 1] -= 20.0 * labels
    found = probe_agreement(X, Y, labels, seed=0)
    assert (found.agreement, found.accuracy_x, found.accuracy_y, found.kappa) == (1.0, 1.0, 1.0, 1.0)


def test_kappa_is_scikit_learns(monkeypatch):
    X, labels = _task()
    Y, _ = _task(signal=1.0, seed=3)
    answers = []
    predicted = probe._predicted
    monkeypatch.setattr(probe, "_predicted", lambda *data: answers.append(predicted(*data)) or answers[-1])
    found = probe_agreement(X, Y, labels * 10, seed=2)
    of_x, of_y = np.concatenate(answers[::2]), np.concatenate(answers[1::2])
    assert len(of_x) == len(of_y) == 120
    assert found.agreement == pytest.approx((of_x == of_y).mean())
    assert found.kappa == pytest.approx(cohen_kappa_score(of_x, of_y))


def test_the_seed_decides_the_folds_and_nothing_else_does():
    X, labels = _task(signal=1.0)
    Y = X + np.random.default_rng(1).normal(size=X.shape)
    assert probe_agreement(X, Y, labels, seed=1) == probe_agreement(X, Y, labels, seed=1)
    assert len({probe_agreement(X, Y, labels, seed=seed).accuracy_x for seed in range(6)}) > 1


def test_refuses():
    X, labels = _task()
    for given, message in (
        (labels[1:], "labels must be 120 whole numbers, one an example, got shape"),
        (labels.astype(float), "labels must be 120 whole numbers"),
        (np.full(120, 4), "labels must be of two classes or more, got 4 alone"),
        (np.where(np.arange(120) < 3, 7, 1), "each class needs at least 5 examples, one a fold; class 7 has 3"),
    ):
        with pytest.raises(ValueError, match=f"probe_agreement: {message}"):
            probe_agreement(X, X, given, seed=0)
    with pytest.raises(ValueError, match="probe_agreement: needs at least 2 folds, got 1"):
        probe_agreement(X, X, labels, seed=0, num_folds=1)
    with pytest.raises(ValueError, match="probe_agreement: Y is constant"):
        probe_agreement(X, np.ones((120, 2)), labels, seed=0)
    with pytest.raises(ValueError, match="probe_agreement: X and Y must hold the same examples"):
        probe_agreement(X, X[1:], labels, seed=0)
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match="X must be finite numbers, got nan in row 4, feature 1"):
        probe_agreement(X, X, labels, seed=0)
