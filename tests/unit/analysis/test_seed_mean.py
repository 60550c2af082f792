"""The mean over seeds has Student's t interval, and none where one seed shows no spread."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tunescope.analysis.seed_mean import seed_mean


def test_the_interval_is_students_t():
    values = [0.71, 0.69, 0.735, 0.72]
    found = seed_mean(values, level=0.9)
    low, high = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((np.mean(values), low, high))
    assert (found.num_seeds, found.method, found.level) == (4, "t over seeds", 0.9)


def test_one_seed_and_none():
    assert seed_mean([0.5]).value == 0.5
    assert seed_mean([0.5]).ci_low is None
    assert "one seed" in seed_mean([0.5]).reason
    assert not seed_mean([]).is_estimable
