"""Matrices that no measure can compare are refused, and the message says where."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity import checks

X = np.arange(12.0).reshape(4, 3)


def test_matrices_become_float64_copies() -> None:
    found, other = checks.paired("here", X.astype(np.float16), X.astype(int))
    assert found.dtype == other.dtype == np.float64
    copy, _ = checks.paired("here", X, X)
    copy[0, 0] = 99.0
    assert X[0, 0] == 0.0


def test_rows_must_match() -> None:
    with pytest.raises(
        ValueError, match=r"^linear_cka: X and Y must hold the same examples in the same order, got 512 rows and 500\.$"
    ):
        checks.paired("linear_cka", np.ones((512, 2)), np.ones((500, 3)))


def test_too_few_examples() -> None:
    with pytest.raises(ValueError, match=r"^here: needs at least 5 examples, got 4\.$"):
        checks.paired("here", X, X, min_examples=5)


@pytest.mark.parametrize("bad,shown", [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_a_value_that_is_no_number_is_named_with_its_row(bad: float, shown: str) -> None:
    Y = X.copy()
    Y[2, 1] = bad
    with pytest.raises(ValueError, match=rf"^here: Y must be finite numbers, got {shown} in row 2, feature 1\.$"):
        checks.paired("here", X, Y)


def test_a_sum_that_overflows_is_not_taken_for_a_bad_value() -> None:
    checks.check_finite("here", "X", np.full((2, 2), 1e308))


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)])
def test_only_matrices(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="examples by features, got shape"):
        checks.matrix("here", "X", np.ones(shape))


def test_empty() -> None:
    with pytest.raises(ValueError, match=r"X is empty, shape \(0, 3\)"):
        checks.matrix("here", "X", np.ones((0, 3)))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3.0])
def test_constant_is_seen_through_rounding(value: float) -> None:
    with pytest.raises(ValueError, match=r"^here: X is constant"):
        checks.centred("here", "X", np.full((37, 3), value))


def test_a_small_spread_about_a_large_mean_is_no_constant() -> None:
    values = np.float64(np.float32(1000.0)) + np.spacing(np.float32(1000.0)) * np.arange(6.0)[:, None]
    assert np.ptp(checks.centred("here", "X", values)) == pytest.approx(5 * np.spacing(np.float32(1000.0)), rel=1e-6)


def test_sequences_must_match_token_by_token() -> None:
    with pytest.raises(ValueError, match=r"^here: X and Y must hold the same tokens of sequence 11, got 4 and 3\.$"):
        checks.paired_sequences("here", [X, X], [X, X[:3]], first=10)
    with pytest.raises(ValueError, match="same sequences, got 2 and 1"):
        checks.paired_sequences("here", [X, X], [X])
    with pytest.raises(ValueError, match=r"X must have as many features in every sequence, got 3 and 2 \(sequence 1\)"):
        checks.paired_sequences("here", [X, X[:, :2]], [X, X])
    with pytest.raises(ValueError, match="Y of sequence 0 is empty"):
        checks.paired_sequences("here", [X], [X[:0]])
