from __future__ import annotations

import math

import pytest

from tunescope.stats.spread import Spread, accuracy_spread, f1_spread, matthews_spread, mean_spread


def test_accuracy_is_a_mean_of_zeros_and_ones() -> None:
    assert accuracy_spread(0.8) == Spread(variance=pytest.approx(0.16), swing=1.0, tilt=1.0)
    assert accuracy_spread(1.0).variance == 0.0


def test_a_mean_keeps_its_standard_deviation() -> None:
    assert mean_spread(0.4) == Spread(variance=pytest.approx(0.16), swing=1.0, tilt=1.0)


def test_matthews_of_balanced_classes_is_twice_accuracy_less_one() -> None:
    # With equal class sizes and error rates M = 2 p - 1 but for the variance of the class sizes, which is second order.
    spread = matthews_spread(0.85, 0.5)
    assert spread.tilt == pytest.approx(2.0)
    assert spread.swing == pytest.approx(4.0)
    assert spread.variance == pytest.approx(4.0 * 0.85 * 0.15)


def test_f1_of_perfect_predictions_does_not_vary() -> None:
    assert f1_spread(1.0, 0.3).variance == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("positive_share", [0.2, 0.5, 0.68])
def test_derivatives_are_those_of_the_formulas(positive_share: float) -> None:
    """Moving a share of examples from wrong to right in both classes moves the score by tilt a share."""
    step = 1e-6

    def f1(accuracy: float) -> float:
        tp, fn, fp = positive_share * accuracy, positive_share * (1 - accuracy), (1 - positive_share) * (1 - accuracy)
        return 2 * tp / (2 * tp + fn + fp)

    def matthews(accuracy: float) -> float:
        tp, fn = positive_share * accuracy, positive_share * (1 - accuracy)
        fp, tn = (1 - positive_share) * (1 - accuracy), (1 - positive_share) * accuracy
        return (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))

    for function, spread in ((f1, f1_spread), (matthews, matthews_spread)):
        slope = (function(0.8 + step) - function(0.8 - step)) / (2 * step)
        assert spread(0.8, positive_share).tilt == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: accuracy_spread(85.0), "accuracy must be within [0, 1], got 85.0"),
        (lambda: accuracy_spread(math.nan), "accuracy must be within [0, 1], got nan"),
        (lambda: mean_spread(0.6), "sd must be within [0, 0.5], got 0.6"),
        (lambda: f1_spread(0.9, 0.0), "positive_share must be within"),
        (lambda: matthews_spread(1.0, 0.5), "accuracy must be within"),
    ],
)
def test_out_of_range(call, told) -> None:
    with pytest.raises(ValueError) as raised:
        call()
    assert told in str(raised.value)
