"""Numbers that are no numbers are refused, with the place."""

import numpy as np
import pytest

from tunescope.stats.checks import check_share, finite_vector


def test_numbers_and_booleans_become_float64():
    assert finite_vector("f", "x", [True, False, True]).tolist() == [1.0, 0.0, 1.0]
    assert finite_vector("f", "x", np.array([1, 2], dtype=np.int8)).dtype == np.float64


@pytest.mark.parametrize(
    "values,words",
    [
        ([], "f: x is empty."),
        ([[1.0]], r"f: x must be one row of numbers, got shape \(1, 1\)."),
        ([0.5, float("nan")], "f: x must be finite numbers, got nan at position 1."),
        ([float("inf")], "got inf at position 0"),
    ],
)
def test_anything_else_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        finite_vector("f", "x", values)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_lies_strictly_between_0_and_1(value):
    with pytest.raises(ValueError, match="f: level must lie between 0 and 1"):
        check_share("f", "level", value)
