"""Scores per seed with the number of examples: honest about other examples, where scores alone are not."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.stats.crossed import seed_interval
from tunescope.stats.share_scores import share_interval

A, B = np.array([0.80, 0.82, 0.81]), np.array([0.79, 0.78, 0.80])


def test_the_variance_is_that_of_seeds_and_of_independent_answers() -> None:
    found = share_interval(A, B, num_examples=(998, 498), paired=True)
    seeds = float((A - B).var(ddof=1)) / 3
    p, q = (0.81 * 998 + 1) / 1000, (0.79 * 498 + 1) / 500
    assert found.standard_error == pytest.approx((seeds + p * (1 - p) / 1000 + q * (1 - q) / 500) ** 0.5)
    assert found.estimate.value == pytest.approx(0.02)
    assert found.parts is not None
    assert found.parts.seeds == pytest.approx(seeds)


def test_many_examples_leave_the_interval_over_seeds() -> None:
    for paired in (True, False):
        wide = share_interval(A, B, num_examples=(10**12, 10**12), paired=paired)
        plain = seed_interval(A, B, paired=paired)
        assert wide.estimate.ci_low == pytest.approx(plain.estimate.ci_low, abs=1e-6)
        assert wide.p_value == pytest.approx(plain.p_value, abs=1e-6)


def test_seeds_without_spread_and_shares_of_one_still_have_an_interval() -> None:
    found = share_interval(np.ones(3), np.ones(3), num_examples=(12, 12), paired=True)
    assert found.p_value == 1.0
    assert found.estimate.ci_low is not None
    assert found.estimate.ci_low < -0.1


def test_it_errs_on_the_safe_side_where_seeds_alone_do_not() -> None:
    """Equal methods that suit different examples: 277 of them, 10 seeds, 300 studies (Monte Carlo error 1.3 points at 5%)."""
    rng = np.random.default_rng(3)
    alone = both = 0
    for _ in range(300):
        base = rng.normal(1.6, 1.6, 277)
        shares = []
        for _ in range(2):
            suited = base + rng.normal(0.0, 0.9, 277) + rng.normal(0.0, 0.03, (10, 1))
            shares.append((rng.random((10, 277)) < 1.0 / (1.0 + np.exp(-1.3 * suited))).mean(axis=1))
        alone += (seed_interval(*shares, paired=True).p_value or 0.0) <= 0.05
        both += (share_interval(*shares, num_examples=(277, 277), paired=True).p_value or 0.0) <= 0.05
    assert alone > 45, "seeds alone call far more than 5% of ties a difference"
    assert both <= 15


@pytest.mark.parametrize(
    "a, num_examples, message",
    [
        (np.array([0.5, 1.5, 0.5]), (10, 10), "must be 2 shares or more between 0 and 1"),
        (A, (10, 0), "num_examples must be 1 or more"),
        (A[:2], (10, 10), "as many scores in both arms"),
    ],
)
def test_what_is_no_share_is_refused(a: np.ndarray, num_examples: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        share_interval(a, B, num_examples=num_examples, paired=True)
