"""What a study may say of its base model."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tunescope.models.base import BaseModelSpec


def test_defaults_are_the_safe_ones() -> None:
    spec = BaseModelSpec(name="org/model")
    assert (spec.trust_remote_code, spec.discard_head, spec.dropout, spec.revision) == (False, False, None, None)


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "m", "dropout": 1.0}, {"name": "m", "dropout": -0.1}, {"name": "m", "x": 1}]
)
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BaseModelSpec(**wrong)
