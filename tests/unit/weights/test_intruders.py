"""Intruders put in on purpose are counted, a scaled weight has none, and the controls have the length they should."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.weights.intruders import THRESHOLDS, num_intruders, random_update, same_spectrum_update
from tunescope.weights.spectrum import dense_spectrum, frobenius

D = 64


def weight_and_bases(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(2))
    return (U * np.geomspace(10.0, 0.1, D)) @ V.T, U, V


def test_planted_intruders_are_counted() -> None:
    """Two directions that mix all 64 of the base's evenly: each has |cosine| 1/8 with every one of them."""
    W, U, V = weight_and_bases()
    even = np.full(D, 1.0) / 8.0
    alternating = np.where(np.arange(D) % 2, -1.0, 1.0) / 8.0
    planted = 500.0 * np.outer(U @ even, V @ even) + 400.0 * np.outer(U @ alternating, V @ alternating)
    found = num_intruders(W, W + planted, k=10, thresholds=(0.1, 0.2, 0.5))
    assert found.left_cosines[:2] == pytest.approx((0.125, 0.125), abs=0.01)
    assert found.right_cosines[:2] == pytest.approx((0.125, 0.125), abs=0.01)
    assert (found.left[0], found.right[0]) == (0, 0), "no vector is further than 1/8 from all of them"
    assert (found.left[1], found.right[1]) == (2, 2)
    assert (found.left[2], found.right[2]) == (2, 2)


def test_one_side_alone() -> None:
    W, U, V = weight_and_bases()
    planted = 500.0 * np.outer(U @ (np.full(D, 1.0) / 8.0), V[:, 0])
    found = num_intruders(W, W + planted, k=1, thresholds=(0.5,))
    assert (found.left, found.right) == ((1,), (0,))


def test_no_change_and_scaling_bring_none() -> None:
    W, *_ = weight_and_bases()
    for tuned in (W, 3.0 * W, -W):
        found = num_intruders(W, tuned, k=10, thresholds=THRESHOLDS)
        assert found.left == found.right == (0,) * len(THRESHOLDS)
        assert found.left_cosines == pytest.approx((1.0,) * 10, abs=1e-9)


def test_counts_rise_with_the_threshold() -> None:
    W, *_ = weight_and_bases()
    found = num_intruders(W, W + random_update(0.7 * frobenius(W), W.shape, seed=3), k=10)
    assert list(found.left) == sorted(found.left)
    assert found.left[-1] > found.left[0]
    assert found.thresholds == THRESHOLDS


def test_a_weight_that_is_not_square() -> None:
    W = np.random.default_rng(0).normal(size=(30, 12))
    found = num_intruders(W, W + 1e-9, k=12)
    assert len(found.left_cosines) == len(found.right_cosines) == 12
    assert found.left == (0,) * 9


@pytest.mark.parametrize("thresholds", [(), (0.0,), (0.5, 1.0)])
def test_thresholds_out_of_range(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"thresholds must lie between 0 and 1"):
        num_intruders(np.eye(3), np.eye(3), k=1, thresholds=thresholds)


def test_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match=r"must have one shape, got \(3, 3\) and \(3, 4\)"):
        num_intruders(np.eye(3), np.ones((3, 4)), k=1)


def test_controls_have_the_norm_and_the_spectrum() -> None:
    drawn = random_update(2.5, (20, 30), seed=0)
    assert frobenius(drawn) == pytest.approx(2.5, rel=1e-12)
    assert np.array_equal(drawn, random_update(2.5, (20, 30), seed=0))
    assert not np.array_equal(drawn, random_update(2.5, (20, 30), seed=1))
    s = np.array([3.0, 2.0, 0.5])
    np.testing.assert_allclose(dense_spectrum(same_spectrum_update(s, (20, 30), seed=0))[:4], [*s, 0.0], atol=1e-12)
    with pytest.raises(ValueError, match=r"up to 2 values"):
        same_spectrum_update(s, (2, 30), seed=0)
    with pytest.raises(ValueError, match=r"norm must be finite"):
        random_update(-1.0, (2, 2), seed=0)
