"""A probe finds what is linearly there, nothing where nothing is, and never looks at what it is scored on."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from tunescope.similarity.linear_probe import STRENGTHS, linear_probe


def _task(n=160, d=6, signal=3.0, num_labels=2, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_labels, size=n)
    X = rng.normal(size=(n, d))
    X[np.arange(n), labels] += signal
    half = n // 2
    return X[:half], labels[:half], X[half:], labels[half:]


@pytest.mark.parametrize("num_labels", [2, 3])
def test_what_is_there_is_found(num_labels):
    found = linear_probe(*_task(signal=6.0, num_labels=num_labels), seed=0)
    assert found.accuracy > 0.95
    assert found.num_folds == 5
    assert len(found.mean_log_losses) == len(STRENGTHS)


def test_where_nothing_is_the_penalty_is_strong_and_the_share_that_of_chance():
    X, labels, X_new, labels_new = _task(n=1000, d=60, signal=0.0)
    found = linear_probe(X, labels, X_new, labels_new, seed=0)
    assert found.C <= 1e-3
    assert found.accuracy == pytest.approx(0.5, abs=0.06)
    assert min(found.mean_log_losses) > 0.68, "log 2 is a coin's"


def test_accuracies_are_shares_of_what_is_scored():
    X, labels, X_new, labels_new = _task(signal=1.0)
    found = linear_probe(X, labels, X_new, labels_new, seed=0)
    assert found.accuracy == np.mean(found.predicted == labels_new)
    assert found.majority_accuracy == np.mean(labels_new == np.bincount(labels).argmax())


def test_the_fit_knows_nothing_of_what_is_scored():
    X, labels, X_new, labels_new = _task(signal=1.0)
    whole = linear_probe(X, labels, X_new, labels_new, seed=0)
    moved = linear_probe(X, labels, np.vstack([X_new[:10], 1e6 * X_new[10:]]), 1 - labels_new, seed=0)
    np.testing.assert_array_equal(moved.predicted[:10], whole.predicted[:10])
    assert (moved.C, moved.mean_log_losses) == (whole.C, whole.mean_log_losses)
    assert np.mean(moved.predicted[:10] == whole.predicted[:10]) == 1.0


def test_scale_and_place_of_the_features_do_not_matter():
    X, labels, X_new, labels_new = _task(signal=1.5)
    scale, shift = 10.0 ** np.arange(-3, 3), np.linspace(-50, 50, 6)
    one = linear_probe(X, labels, X_new, labels_new, seed=0)
    other = linear_probe(X * scale + shift, labels, X_new * scale + shift, labels_new, seed=0)
    np.testing.assert_array_equal(one.predicted, other.predicted)
    np.testing.assert_allclose(one.mean_log_losses, other.mean_log_losses, rtol=1e-4)


def test_a_feature_that_is_constant_where_it_is_fitted_is_left_out():
    X, labels, X_new, labels_new = _task(signal=1.5)
    one = linear_probe(X, labels, X_new, labels_new, seed=0)
    rows = np.full((len(X), 1), 0.1), np.linspace(-9, 9, len(X_new))[:, None]
    other = linear_probe(np.hstack([X, rows[0]]), labels, np.hstack([X_new, rows[1]]), labels_new, seed=0)
    np.testing.assert_array_equal(one.predicted, other.predicted)


def test_the_same_seed_gives_the_same_and_another_other_folds():
    given = _task(signal=1.0)
    assert linear_probe(*given, seed=0).mean_log_losses == linear_probe(*given, seed=0).mean_log_losses
    assert linear_probe(*given, seed=0).mean_log_losses != linear_probe(*given, seed=1).mean_log_losses


def test_a_rare_label_has_fewer_folds_and_one_that_was_not_fitted_is_never_predicted():
    X, labels, X_new, labels_new = _task(signal=6.0)
    labels = np.where(labels == 1, 0, labels)
    labels[:3] = 1
    assert linear_probe(X, labels, X_new, labels_new, seed=0).num_folds == 3
    given = _task(signal=6.0)
    found = linear_probe(*given[:3], np.where(given[3] == 1, 7, given[3]), seed=0)
    assert set(found.predicted.tolist()) <= {0, 1}
    assert found.accuracy <= np.mean(given[3] == 0)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda X, y, Z, z: (X, y, Z[:, :2], z), "same features, got 6 and 2"),
        (lambda X, y, Z, z: (X, y[:-1], Z, z), "labels must be 80 whole numbers"),
        (lambda X, y, Z, z: (X, y, Z, z.astype(float)), "labels_scored must be 80 whole numbers"),
        (lambda X, y, Z, z: (X, 0 * y, Z, z), "two kinds or more, got 0 alone"),
        (lambda X, y, Z, z: (X, np.eye(1, len(y), dtype=int)[0], Z, z), "label 1 has one"),
        (lambda X, y, Z, z: (0 * X + 3.3, y, Z, z), "X is constant"),
        (
            lambda X, y, Z, z: (np.where(np.arange(X.size).reshape(X.shape) == 7, np.nan, X), y, Z, z),
            "X must be finite numbers",
        ),
        (lambda X, y, Z, z: (X, y, np.full_like(Z, np.inf), z), "X_scored must be finite numbers"),
    ],
)
def test_what_cannot_be_probed_is_told(change, told):
    with pytest.raises(ValueError, match=told):
        linear_probe(*change(*_task()), seed=0)


def test_a_fit_that_does_not_converge_gives_no_number(monkeypatch):
    def stops_early(self, X, y):
        warnings.warn("too few iterations", ConvergenceWarning, stacklevel=1)

    monkeypatch.setattr(LogisticRegression, "fit", stops_early)
    with pytest.raises(ValueError, match="did not converge"):
        linear_probe(*_task(), seed=0)
