"""Sums give what held states give, and say what they are not enough for."""

from __future__ import annotations

import numpy as np
import pytest

from drift_states import batches, moved, some_states
from tunescope.drift.held import HeldStates, rows_of_held
from tunescope.drift.pair import Pair
from tunescope.drift.row import LAYER_PAIRS
from tunescope.drift.summed import SummedStates, rows_of_sums
from tunescope.similarity.measures import MEASURES

PAIRS = (Pair(compared="tuned"), Pair(compared="random_update", other=2))
SUMMABLE = ("debiased_linear_cka", "linear_cka", "cosine", "relative_change", "norm_ratio")


def _summed(*models, pairs=PAIRS[:1], measures=SUMMABLE, layer_pairs=False, num_sampled=2048, **how):
    sums = SummedStates(pairs, num_examples=len(next(iter(models[0].values()))), num_sampled=num_sampled)
    for batch in batches(*models, **how):
        sums.add(batch)
    rows = list(rows_of_sums(sums, measures, layer_pairs=layer_pairs))
    return {(row.compared, row.state, row.other_state, row.measure): row for row in rows}


def _held(*models, pairs=PAIRS[:1], measures=SUMMABLE):
    held = HeldStates(len(next(iter(models[0].values()))))
    for batch in batches(*models):
        held.add(batch)
    rows = [row for pair in pairs for row in rows_of_held(held, pair, measures, layer_pairs=False)]
    return {(row.compared, row.state, row.other_state, row.measure): row for row in rows}


@pytest.mark.parametrize("n", [40, 1500])
def test_sums_and_held_states_agree_to_1e_10(n):
    X = some_states(0, n=n)
    models = (X, moved(X, 0.3), moved(X, 2.0, seed=4))
    summed, held = _summed(*models, pairs=PAIRS, size=100), _held(*models, pairs=PAIRS)
    assert summed.keys() == held.keys()
    for key, row in summed.items():
        assert row.value == pytest.approx(held[key].value, abs=1e-10), key
        assert row.num_examples == n
        assert row.note == held[key].note
        if row.measure == "linear_cka":
            assert row.ci_low is None
        else:
            assert (row.ci_low, row.ci_high) == pytest.approx((held[key].ci_low, held[key].ci_high), abs=1e-7)


def test_the_interval_of_a_sample_is_about_the_value_of_all_and_scaled():
    X = some_states(0, n=1500)
    Y = moved(X, 0.3)
    row = _summed(X, Y, num_sampled=600)["tuned", "block_01", "block_01", "debiased_linear_cka"]
    held = _held(X, Y)["tuned", "block_01", "block_01", "debiased_linear_cka"]
    assert row.note == "interval by jackknife over 600 of 1,500 examples, scaled"
    assert row.value == pytest.approx(held.value, abs=1e-10)
    low, high = np.log(1.0 - row.ci_low), np.log(1.0 - row.ci_high)
    assert (low + high) / 2 == pytest.approx(np.log(1.0 - row.value))
    assert row.ci_high - row.ci_low == pytest.approx(held.ci_high - held.ci_low, rel=0.15)  # and not 1.6 times as wide
    assert row.standard_error == pytest.approx(held.standard_error, rel=0.15)


def test_a_sample_too_small_for_an_interval_says_so():
    X = some_states(0)
    row = _summed(X, moved(X, 0.3), num_sampled=4)["tuned", "block_01", "block_01", "debiased_linear_cka"]
    assert row.value is not None
    assert row.ci_low is None
    assert row.note == "no interval: debiased_cka_jackknife: needs at least 5 examples, got 4."


def test_any_batches_in_any_order_give_the_same():
    X = some_states(0, n=1500)
    Y = moved(X, 0.3)
    once = _summed(X, Y, size=1500, order_seed=0, num_sampled=300)
    for size, order in ((200, 0), (7, 0), (1, 5), (999, 6)):
        again = _summed(X, Y, size=size, order_seed=order, num_sampled=300)
        for key, row in again.items():
            assert row.value == pytest.approx(once[key].value, abs=1e-10), (size, key)
            assert row.ci_low == pytest.approx(once[key].ci_low, abs=1e-10), (size, key)


def test_a_mean_that_is_large_beside_the_spread_costs_no_digits():
    X = {name: rows + np.float32(200.0) for name, rows in some_states(0, n=1500).items()}
    Y = moved(X, 0.5)
    for key, row in _summed(X, Y, measures=SUMMABLE[:2]).items():
        assert row.value == pytest.approx(_held(X, Y)[key].value, abs=1e-6)


def test_what_sums_are_not_enough_for_says_what_it_needs():
    X = some_states(0)
    rows = _summed(X, moved(X, 0.3), measures=tuple(MEASURES), layer_pairs=True)
    for (_, _, _, measure), row in rows.items():
        if measure in SUMMABLE:
            assert row.value is not None
        else:
            assert row.value is None
            assert row.note == f"{measure} needs all 40 examples at once, more than are held. Lower num_examples."
    assert sum(measure == LAYER_PAIRS for *_, measure in rows) == 9


def test_states_that_are_all_alike_have_no_cka_and_do_not_raise():
    X = some_states(0, n=700)
    Y = moved(X, 0.3)
    X["block_01"][:] = 3.0
    rows = _summed(X, Y)
    assert rows["tuned", "block_01", "block_01", "debiased_linear_cka"].value is None
    assert "base model's states are the same" in rows["tuned", "block_01", "block_01", "linear_cka"].note
    assert rows["tuned", "block_01", "block_01", "relative_change"].value is not None
    assert rows["tuned", "block_02", "block_02", "debiased_linear_cka"].value is not None


def test_an_example_of_zeros_has_no_cosine_and_leaves_the_lengths():
    X = some_states(0)
    Y = moved(X, 0.3)
    Y["block_01"][7] = 0.0
    summed, held = _summed(X, Y), _held(X, Y)
    row = summed["tuned", "block_01", "block_01", "cosine"]
    assert row.value is None
    assert "1 examples are all zeros" in row.note
    for measure in ("relative_change", "norm_ratio"):
        key = ("tuned", "block_01", "block_01", measure)
        assert summed[key].value == pytest.approx(held[key].value, abs=1e-7)


def test_a_base_of_zeros_but_for_one_example_has_no_interval_and_does_not_raise():
    X = {"block_01": np.zeros((8, 3), dtype=np.float32)}
    X["block_01"][2] = 1.0
    row = _summed(X, moved(X, 0.3))["tuned", "block_01", "block_01", "norm_ratio"]
    assert row.value is not None
    assert row.ci_low is None


def test_models_of_different_width_keep_their_ckas():
    rows = _summed(some_states(0), some_states(1, d=9))
    assert rows["tuned", "block_01", "block_01", "debiased_linear_cka"].value is not None
    assert "same features, got 6 and 9" in rows["tuned", "block_01", "block_01", "norm_ratio"].note


def test_a_value_outside_its_regime_says_so():
    X = some_states(0, n=40, d=30)
    row = _summed(X, moved(X, 0.3))["tuned", "block_01", "block_01", "linear_cka"]
    assert row.value is not None
    assert row.note.startswith("biased: unrelated features")
