"""Moves in the base model's own frame: what each measure sees, what it does not, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity.aligned import (
    centred_cosine,
    centred_cosine_leave_one_out,
    centred_cosines,
    cosine,
    cosine_leave_one_out,
    cosines,
    mean_shift,
    mean_shift_leave_one_out,
    norm_ratio,
    norm_ratio_leave_one_out,
    norm_ratios,
    relative_change,
    relative_change_leave_one_out,
    relative_changes,
)

_ALL = (cosine, centred_cosine, relative_change, norm_ratio, mean_shift)


def _states(seed=0, n=40, d=6, mean=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + mean


def test_a_large_common_mean_hides_any_change_from_the_raw_cosine_alone():
    X, Y = _states(0, mean=100.0), _states(1, mean=100.0)
    assert cosine(X, Y) > 0.9998
    assert relative_change(X, Y) < 0.02
    assert abs(centred_cosine(X, Y)) < 0.2


def test_a_shift_of_all_examples_is_seen_by_mean_shift_alone():
    X = _states(0, n=200)
    Y = X + 1.0
    assert centred_cosine(X, Y) == pytest.approx(1.0)
    # 6 features shifted by 1, each with variance 1: sqrt(6) over sqrt(6)
    assert mean_shift(X, Y) == pytest.approx(1.0, rel=0.05)


def test_a_scaling_is_seen_by_length_alone():
    X = _states()
    assert cosine(X, 3.0 * X) == pytest.approx(1.0)
    assert norm_ratio(X, 3.0 * X) == pytest.approx(3.0)
    assert relative_change(X, 3.0 * X) == pytest.approx(2.0)


def test_of_each_example():
    X, Y = np.array([[3.0, 4.0], [0.0, 1.0]]), np.array([[0.0, 4.0], [0.0, -2.0]])
    assert cosines(X, Y) == pytest.approx([0.8, -1.0])
    assert relative_changes(X, Y) == pytest.approx([0.6, 3.0])
    assert norm_ratios(X, Y) == pytest.approx([0.8, 2.0])
    assert cosine(X, Y) == pytest.approx(-0.1)
    assert centred_cosines(_states(0), _states(1)).mean() == pytest.approx(centred_cosine(_states(0), _states(1)))


def test_half_precision_is_computed_in_double():
    X = _states(mean=30.0).astype(np.float16)
    Y = (X + np.float16(0.25)).astype(np.float16)
    for measure in _ALL:
        assert measure(X, Y) == measure(X.astype(np.float64), Y.astype(np.float64))


def test_cosines_of_states_whose_squares_floats_cannot_hold():
    X, Y = _states(0), _states(1)
    assert cosine(X * 1e-200, Y * 1e200) == pytest.approx(cosine(X, Y), abs=1e-14)


def test_the_same_state_for_every_example_still_has_a_length():
    # the first token of a decoder: each text begins alike
    X = np.ones((5, 3))
    assert cosine(X, X) == pytest.approx(1.0)
    assert relative_change(X, 1.5 * X) == pytest.approx(0.5)
    for measure in (centred_cosine, mean_shift):
        with pytest.raises(ValueError, match=f"{measure.__name__}: X is constant"):
            measure(X, _states(n=5, d=3))


@pytest.mark.parametrize("measure", _ALL)
def test_refuses(measure):
    X = _states()
    name = measure.__name__
    with pytest.raises(ValueError, match=f"{name}: X and Y must hold the same examples .* got 40 rows and 39"):
        measure(X, X[1:])
    with pytest.raises(
        ValueError, match=f"{name}: X and Y must have the same features, got 6 and 5. Measures that compare"
    ):
        measure(X, X[:, :5])
    for bad in (np.nan, np.inf):
        Y = X.copy()
        Y[7, 2] = bad
        with pytest.raises(ValueError, match=f"{name}: Y must be finite numbers, got {bad} in row 7"):
            measure(X, Y)


def test_a_state_without_direction_is_named():
    X = _states()
    X[3] = 0.0
    for function, where in ((cosine, "cosine"), (cosines, "cosines")):
        with pytest.raises(ValueError, match=f"^{where}: example 3 of X is all zeros"):
            function(X, _states(1))
    with pytest.raises(ValueError, match="relative_changes: example 3 of X is all zeros"):
        relative_changes(X, _states(1))
    with pytest.raises(ValueError, match="norm_ratios: example 3 of X is all zeros"):
        norm_ratios(X, _states(1))
    for measure in (relative_change, norm_ratio):
        with pytest.raises(ValueError, match=f"{measure.__name__}: X is all zeros: there is no length"):
            measure(np.zeros((4, 2)), np.ones((4, 2)))
    Y = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    with pytest.raises(ValueError, match="centred_cosine: example 1 of Y is the mean of all examples"):
        centred_cosine(_states(n=3, d=2), Y)


def test_leaving_out_the_example_that_all_rests_on_is_an_error():
    X = np.zeros((4, 2))
    X[2] = 1.0
    for function in (relative_change_leave_one_out, norm_ratio_leave_one_out):
        with pytest.raises(ValueError, match=f"{function.__name__}: X is all zeros once example 2 is left out"):
            function(X, X)
    with pytest.raises(ValueError, match="X is constant once example 2 is left out"):
        mean_shift_leave_one_out(X, X)
    Y = np.array([[0.0], [1.0], [2.0], [7.0]])
    with pytest.raises(ValueError, match="example 1 of X is the mean of the others once example 3 is left out"):
        centred_cosine_leave_one_out(Y, np.array([[0.0], [1.0], [4.0], [9.0]]))
    with pytest.raises(ValueError, match="cosine_leave_one_out: needs at least 2 examples, got 1"):
        cosine_leave_one_out(np.ones((1, 2)), np.ones((1, 2)))


def test_leave_one_out_where_only_one_example_moved():
    X = _states()
    Y = X.copy()
    Y[5] += 1.0
    without = relative_change_leave_one_out(X, Y)
    assert without[5] == pytest.approx(0.0, abs=1e-9)
    assert (np.delete(without, 5) > 0.0).all()
