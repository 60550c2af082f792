"""An update, dense or in factors, and one that there is none of."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.weights.update import WHOLE_MODEL, LowRank, ModuleUpdate


def test_factors_multiply_out() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 5)).astype(np.float32), rng.normal(size=(4, 2)).astype(np.float32)
    factors = LowRank(B=B, A=A, scale=2.0)
    update = ModuleUpdate(module="w", shape=(4, 5), base=np.zeros((4, 5), np.float32), change=factors)
    expected = 2.0 * B.astype(np.float64) @ A.astype(np.float64)
    np.testing.assert_allclose(update.dense(), expected, rtol=1e-14)
    np.testing.assert_allclose(factors.rows(1, 3), expected[1:3], rtol=1e-14)
    assert update.dense().dtype == np.float64


def test_none_is_no_number() -> None:
    update = ModuleUpdate(module=WHOLE_MODEL, shape=(), base=None, change=None, reason="soft prompts")
    with pytest.raises(ValueError, match=r"\* has no dW: soft prompts"):
        update.dense()
