"""The records: complete, what they refuse, and warnings whose numbers a simulation bears out."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from tunescope.similarity.measure import Measured
from tunescope.similarity.measures import MEASURES

_measures = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


def _states(seed=0, n=30, d=4):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_names():
    assert list(MEASURES) == [
        *("debiased_linear_cka", "linear_cka", "rbf_cka", "cosine", "centred_cosine", "relative_change", "norm_ratio"),
        *("mean_shift", "procrustes_distance", "procrustes_residual", "svcca", "pwcca", "rsa", "mutual_knn"),
    ]


@_measures
def test_a_record_says_all(measure):
    for field in fields(measure):
        value = getattr(measure, field.name)
        assert not (isinstance(value, str) and field.name != "unit" and not value.strip()), field.name
    assert MEASURES[measure.name] is measure
    low, high = measure.range
    assert low <= measure.of_itself <= high
    with pytest.raises(FrozenInstanceError):
        measure.name = "other"


@_measures
def test_refuses_too_few_examples_and_works_with_just_enough(measure):
    n = measure.min_examples
    X, Y = _states(0, n), _states(1, n)
    assert isinstance(measure.of(X, Y), Measured)
    if n > 1:
        with pytest.raises(ValueError, match=rf"{measure.name}: (needs at least {n} examples|k must be .* got 10)"):
            measure.function(X[1:], Y[1:])


@_measures
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_a_number(measure, bad):
    X, Y = _states(0), _states(1)
    Y[7, 2] = bad
    for name, pair in (("Y", (X, Y)), ("X", (Y, X))):
        with pytest.raises(ValueError, match=f"^{measure.name}: {name} must be finite numbers, got {bad} in row 7"):
            measure.function(*pair)


@_measures
def test_refuses_constant_features_where_it_needs_them_to_vary(measure):
    X, constant = _states(0), np.full((30, 4), 0.1)
    if not measure.needs_spread:
        assert measure.function(constant, constant) == pytest.approx(measure.of_itself)
        return
    message = f"^{measure.name}: X is constant"
    with pytest.raises(ValueError, match=message):
        measure.function(constant, X)


@_measures
def test_refuses_other_examples_and_other_features(measure):
    X, Y = _states(0), _states(1)
    with pytest.raises(ValueError, match=f"^{measure.name}: X and Y must hold the same examples in the same order"):
        measure.function(X, Y[1:])
    if measure.same_features:
        with pytest.raises(ValueError, match=f"^{measure.name}: X and Y must have the same features, got 4 and 3"):
            measure.function(X, Y[:, 1:])
    else:
        assert np.isfinite(measure.function(X, Y[:, 1:]))


@_measures
def test_many_examples_need_no_warning(measure):
    assert measure.regime(100_000, 8, 8) is None


@pytest.mark.parametrize("name", ["linear_cka", "rbf_cka"])
@pytest.mark.parametrize("n, d_x, d_y", [(60, 60, 60), (100, 50, 200), (200, 40, 40)])
def test_the_bias_that_is_warned_of_is_there(name, n, d_x, d_y):
    measure = MEASURES[name]
    found = np.mean([measure.function(_states(seed, n, d_x), _states(100 + seed, n, d_y)) for seed in range(4)])
    said = float(re.search(r"about ([0-9.]+) at", measure.regime(n, d_x, d_y)).group(1))
    assert found == pytest.approx(said, abs=0.02)


def test_the_issues_figure_of_bias():
    # independent noise at n = 277, d = 2048
    assert "0.88 at n = 277, d = 2048" in MEASURES["linear_cka"].regime(277, 2048, 2048)
    assert MEASURES["debiased_linear_cka"].regime(277, 2048, 2048) is None


@pytest.mark.parametrize("d", [2, 40])
def test_the_spread_of_debiased_cka_that_is_warned_of_is_there(d):
    measure = MEASURES["debiased_linear_cka"]
    found = np.std([measure.function(_states(seed, 20, d), _states(1000 + seed, 20, d)) for seed in range(200)])
    assert "+-0.08 (sd) at n = 20" in measure.regime(20, d, d)
    assert found == pytest.approx(0.077, rel=0.2)


def test_cca_says_when_it_can_only_say_one():
    for name in ("svcca", "pwcca"):
        assert "are 1 whatever the data, at n = 13, d = 12" in MEASURES[name].regime(13, 12, 12)
        assert "correlate by about 0.50 (root mean square) at n = 49, d = 12 and 5" in MEASURES[name].regime(49, 12, 5)
        assert MEASURES[name].regime(120, 12, 12) is None


def test_a_warning_comes_with_the_value():
    X, Y = _states(0), _states(1)
    found = MEASURES["linear_cka"].of(X, Y)
    assert (found.measure, found.value) == ("linear_cka", MEASURES["linear_cka"].function(X, Y))
    assert found.note == "biased: unrelated features of equal variance would score about 0.12 at n = 30, d = 4"
    assert MEASURES["cosine"].of(X, Y).note is None
    assert "a rotation of so many features" in MEASURES["procrustes_distance"].of(X, Y).note
    assert "chance alone gives 0.34 at n = 30" in MEASURES["mutual_knn"].of(X, Y).note
    assert "+-0.09 (sd) at n = 30" in MEASURES["rsa"].of(X, Y).note
