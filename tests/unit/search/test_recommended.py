"""Every recommended space names a method that there is, its fields and its sources."""

from __future__ import annotations

import pytest

from tunescope.methods import METHODS
from tunescope.search.recommended import recommendations, recommended_spaces
from tunescope.study.settings import TrainingSettings


@pytest.mark.parametrize("one", recommendations(), ids=lambda one: one.method)
def test_a_recommendation_fits_its_method_and_says_where_it_is_from(one):
    kind = one.method if one.method in METHODS else "peft"
    assert set(one.spaces) <= set(METHODS[kind].model_fields) | set(TrainingSettings.model_fields)
    assert one.sources
    assert all(space.default is not None for space in one.spaces.values())


def test_the_ranges_are_as_wide_as_each_other_on_their_own_scale():
    widths = [space.high / space.low for one in recommendations() for space in one.spaces.values()]
    assert widths == pytest.approx([20.0] * len(widths))


def test_peft_is_looked_up_by_its_class_and_the_unknown_has_none():
    assert recommended_spaces("peft", {"config_class": "IA3Config"}) is not None
    assert recommended_spaces("peft", {"config_class": "VeraConfig"}) is None
    assert recommended_spaces("peft", {}) is None
