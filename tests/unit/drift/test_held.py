"""Held states give every measure with its interval, and words in place of a number that is not there."""

from __future__ import annotations

import numpy as np
import pytest

from drift_states import batches, moved, some_states
from tunescope.drift.held import HeldStates, rows_of_held
from tunescope.drift.pair import Pair
from tunescope.drift.row import LAYER_PAIRS
from tunescope.similarity.cka import debiased_linear_cka
from tunescope.similarity.jackknife import debiased_cka_jackknife, interval
from tunescope.similarity.measures import MEASURES

PAIR = Pair(compared="tuned")
CKA = "debiased_linear_cka"


def _held(*models, read="mean", **how):
    held = HeldStates(len(next(iter(models[0].values()))))
    for batch in batches(*models, read=read, **how):
        held.add(batch)
    return held


def _rows(*models, measures=(CKA,), layer_pairs=False, **how):
    return list(rows_of_held(_held(*models, **how), PAIR, measures, layer_pairs=layer_pairs))


def test_rows_are_put_back_into_the_examples_order():
    X = some_states(0)
    held = _held(X, moved(X, 0.1))
    assert held.names(0) == list(X)
    assert held.poolings() == ["mean"]
    assert all(np.array_equal(held.of(0, name, "mean"), rows) for name, rows in X.items())


def test_states_of_single_tokens_are_not_held():
    tokens = {"block_01": [np.ones((2, 3), dtype=np.float32)] * 5}
    assert _held(tokens, tokens, read="all_tokens").poolings() == []


@pytest.mark.parametrize("measure", sorted(MEASURES))
def test_every_measure_is_the_functions_own(measure):
    X = some_states(0)
    Y = moved(X, 0.5)
    record = MEASURES[measure]
    for row in _rows(X, Y, measures=(measure,)):
        x, y = X[row.state], Y[row.state]
        assert row.value == record.function(x, y)
        assert (row.state, row.pooling, row.measure, row.num_examples) == (row.other_state, "mean", measure, 40)
        assert row.note == (record.regime(40, 6, 6) or "")
        if measure == CKA:
            expected = debiased_cka_jackknife(x, y)
        elif record.leave_one_out is not None:
            expected = interval(row.value, record.leave_one_out(x, y))
        else:
            assert (row.standard_error, row.ci_low, row.ci_high) == (None, None, None)
            continue
        assert (row.standard_error, row.ci_low, row.ci_high) == (
            expected.standard_error,
            expected.ci_low,
            expected.ci_high,
        )
        assert row.ci_low < row.value < row.ci_high


@pytest.mark.parametrize("rounding", [0.0, 1e-6])
@pytest.mark.parametrize("whose", ["base", "other"])
def test_states_that_differ_by_rounding_alone_have_no_cka_and_keep_the_other_measures(whose, rounding):
    X, Y = some_states(0), some_states(1)
    rng = np.random.default_rng(2)
    constant = (X if whose == "base" else Y)["block_01"]
    constant[:] = (3.0 + rng.normal(size=6) + rounding * rng.normal(size=constant.shape)).astype(np.float32)
    rows = _rows(X, Y, measures=(CKA, "cosine", "mutual_knn", "norm_ratio"))
    of = {(row.state, row.measure): row for row in rows}
    assert of["block_01", CKA].value is None
    assert f"the {whose} model's states are the same for all examples" in of["block_01", CKA].note
    assert of["block_02", CKA].value is not None
    assert of["block_01", "cosine"].value is not None
    assert of["block_01", "norm_ratio"].value is not None


def test_a_state_that_is_the_same_everywhere_costs_the_layer_pairs_nothing_but_itself():
    X = some_states(0)
    Y = moved(X, 0.3)
    X["embeddings"][:] = Y["embeddings"][:] = 2.0
    pairs = {(row.state, row.other_state): row for row in _rows(X, Y, layer_pairs=True) if row.measure == LAYER_PAIRS}
    assert len(pairs) == 9
    for (state, other), row in pairs.items():
        if "embeddings" in (state, other):
            assert row.value is None
            assert "nothing to compare" in row.note
        else:
            assert row.value == pytest.approx(debiased_linear_cka(X[state], Y[other]), abs=1e-12)
            assert row.note == ""


def test_all_states_the_same_leave_no_pair():
    X = {name: np.ones_like(rows) for name, rows in some_states(0).items()}
    rows = _rows(X, X, layer_pairs=True)
    assert len(rows) == 3 + 9
    assert all(row.value is None and row.note for row in rows)


def test_of_models_of_different_depth_the_layer_pairs_alone_are_there():
    X, Y = some_states(0), some_states(1, names=("embeddings", "block_01"))
    rows = _rows(X, Y, layer_pairs=True)
    assert [row.measure for row in rows] == [LAYER_PAIRS] * 6
    assert all(row.value is not None for row in rows)
    assert _rows(X, Y, layer_pairs=False) == []


def test_of_models_of_different_width_those_that_need_the_same_features_say_so():
    X, Y = some_states(0), some_states(1, d=9)
    of = {(row.state, row.measure): row for row in _rows(X, Y, measures=(CKA, "cosine", "procrustes_distance"))}
    assert of["block_01", CKA].value == pytest.approx(debiased_linear_cka(X["block_01"], Y["block_01"]))
    assert of["block_01", "procrustes_distance"].value is not None
    assert of["block_01", "cosine"].value is None
    assert "same features, got 6 and 9" in of["block_01", "cosine"].note


@pytest.mark.parametrize("n", [2, 3, 4, 5, 11])
def test_too_few_examples_for_a_measure_are_told_and_never_raise(n):
    X = some_states(0, n=n)
    for row in _rows(X, moved(X, 0.2), measures=tuple(MEASURES), layer_pairs=True):
        least = 4 if row.measure == LAYER_PAIRS else MEASURES[row.measure].min_examples
        if n < least:
            assert row.value is None
            assert f"needs at least {least} examples, got {n}" in row.note or "k must be at least 1" in row.note
    if n == 4:
        (row, *_) = _rows(X, moved(X, 0.2))
        assert row.value is not None
        assert row.ci_low is None
        assert "no interval: debiased_cka_jackknife: needs at least 5 examples, got 4" in row.note
        assert "few examples" in row.note


def test_a_self_term_that_is_not_positive_gives_no_number():
    X = {"block_01": np.eye(6, dtype=np.float32)}  # all equally far apart: U-centred Gram matrix of zeros
    (row,) = _rows(X, X)
    assert row.value is None
    assert row.note == "not defined: a self-term is not positive"
