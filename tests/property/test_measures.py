"""Laws drawn from the measures' records: range, f(X, X), symmetry, what each is unchanged by, and that nothing more is claimed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.similarity.measures import MEASURES

_MAPS = ("rotation", "isotropic scaling", "translation", "invertible map", "permutation of features")
_ROUNDING = 1e-8
_seeds = st.integers(0, 2**32 - 1)
_measures = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


def _representation(rng, n, d):
    """Examples around a mean, with features of unlike size, as transformers have them."""
    return rng.normal(size=(n, d)) * rng.uniform(0.3, 3.0, size=d) + rng.normal(size=d)


def _pair(measure, rng, n, d):
    X = _representation(rng, n, d)
    if measure.same_features:
        return X, X + rng.uniform(0.01, 2.0) * _representation(rng, n, d)
    other = int(rng.integers(2, 7))
    return X, X @ rng.normal(size=(d, other)) + rng.uniform(0.01, 2.0) * _representation(rng, n, other)


def _map(name, rng, d):
    """A map of (n, d) representations."""
    if name == "rotation":
        Q, _ = np.linalg.qr(rng.normal(size=(d, d)))
        return lambda X: X @ Q
    if name == "isotropic scaling":
        factor = rng.uniform(0.1, 10.0)
        return lambda X: factor * X
    if name == "translation":
        shift = 3.0 * rng.normal(size=d)
        return lambda X: X + shift
    if name == "invertible map":
        left, _ = np.linalg.qr(rng.normal(size=(d, d)))
        right, _ = np.linalg.qr(rng.normal(size=(d, d)))
        A = left * np.geomspace(1.0, 4.0, d) @ right
        return lambda X: X @ A
    order = rng.permutation(d)
    return lambda X: X[:, order]


@_measures
@given(seed=_seeds, num_more=st.integers(0, 20), d=st.integers(2, 6))
@settings(max_examples=15, deadline=None)
def test_laws(measure, seed, num_more, d):
    rng = np.random.default_rng(seed)
    n = max(measure.min_examples, 3) + num_more
    if measure.name == "pwcca":
        n += 10  # at least d_x + d_y: with fewer it is an error
    X, Y = _pair(measure, rng, n, d)
    value = measure.function(X, Y)
    low, high = measure.range
    # The least n of a debiased estimate has self-terms that may not be positive, and a ratio that may leave [-1, 1].
    if measure.name != "debiased_linear_cka":
        assert low - _ROUNDING <= value <= high + _ROUNDING
    elif np.isfinite(value) and n >= 20:
        assert low <= value <= high + _ROUNDING
    if not np.isnan(value):
        assert measure.function(X, X) == pytest.approx(measure.of_itself, abs=_ROUNDING)
    if measure.is_symmetric:
        assert measure.function(Y, X) == pytest.approx(value, abs=_ROUNDING, nan_ok=True)
    order = rng.permutation(n)
    assert measure.function(X[order], Y[order]) == pytest.approx(value, abs=_ROUNDING, nan_ok=True)
    for name in sorted(measure.unchanged_by):
        of_x, of_y = _map(name, rng, X.shape[1]), _map(name, rng, Y.shape[1])
        assert measure.function(of_x(X), Y) == pytest.approx(value, abs=_ROUNDING, nan_ok=True), f"{name} of X"
        assert measure.function(X, of_y(Y)) == pytest.approx(value, abs=_ROUNDING, nan_ok=True), f"{name} of Y"
    if X.shape[1] == Y.shape[1]:
        for name in sorted(measure.unchanged_by_same):
            same = _map(name, rng, X.shape[1])
            assert measure.function(same(X), same(Y)) == pytest.approx(value, abs=_ROUNDING, nan_ok=True), name


@_measures
def test_what_is_not_claimed_changes_the_value(measure):
    assert measure.unchanged_by <= measure.unchanged_by_same <= set(_MAPS)
    rng = np.random.default_rng(7)
    X = _representation(rng, 60, 5)
    Y = X + 0.5 * _representation(rng, 60, 5)
    value = measure.function(X, Y)
    for name in sorted(set(_MAPS) - measure.unchanged_by):
        mapped = _map(name, rng, 5)
        moved = [abs(measure.function(mapped(X), Y) - value), abs(measure.function(X, mapped(Y)) - value)]
        assert max(moved) > 1e-4, f"{measure.name} is unchanged by {name} too"
    for name in sorted(set(_MAPS) - measure.unchanged_by_same):
        mapped = _map(name, rng, 5)
        assert abs(measure.function(mapped(X), mapped(Y)) - value) > 1e-4, f"{measure.name}: {name} of both"
    if not measure.is_symmetric:
        assert abs(measure.function(Y, X) - value) > 1e-4


@pytest.mark.parametrize(
    "measure", [measure for measure in MEASURES.values() if measure.leave_one_out], ids=lambda measure: measure.name
)
@given(seed=_seeds, n=st.integers(3, 12), d=st.integers(2, 5), mean=st.sampled_from([0.0, 1.0, 1e3]))
@settings(max_examples=25, deadline=None)
def test_leave_one_out_is_the_measure_without_each_example(measure, seed, n, d, mean):
    rng = np.random.default_rng(seed)
    X, Y = _pair(measure, rng, n, d)
    X, Y = X + mean, Y + mean
    found = measure.leave_one_out(X, Y)
    expected = [measure.function(np.delete(X, i, axis=0), np.delete(Y, i, axis=0)) for i in range(n)]
    assert found == pytest.approx(np.array(expected), rel=1e-7, abs=1e-9)


@_measures
@given(seed=_seeds)
@settings(max_examples=5, deadline=None)
def test_a_shift_far_greater_than_the_spread_costs_few_digits(measure, seed):
    if "translation" not in measure.unchanged_by:
        return
    rng = np.random.default_rng(seed)
    X, Y = _pair(measure, rng, 30, 4)
    value = measure.function(X, Y)
    assert measure.function(X + 1e5, Y + 1e5) == pytest.approx(value, abs=1e-7)
