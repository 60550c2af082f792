"""Holm's correction by hand."""

import numpy as np
import pytest

from tunescope.stats.holm import holm


def test_steps_down_and_keeps_the_order_given():
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])


def test_none_is_not_in_the_family():
    adjusted = holm([None, 0.02, None, 0.5])
    assert np.isnan(adjusted[[0, 2]]).all()
    assert adjusted[[1, 3]] == pytest.approx([0.04, 0.5])


def test_never_above_1_and_empty_families_stay_empty():
    assert holm([0.6, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).shape == (0,)
    assert np.isnan(holm([None])).all()


@pytest.mark.parametrize("p_value", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(p_value):
    with pytest.raises(ValueError, match=r"holm: p-values must lie in \[0, 1\] or be None"):
        holm([0.5, p_value])
