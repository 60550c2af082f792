"""Claims: what is refused, and that each goes to its test."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.stats.claim import Claim, margin_test, ratio_claim_test
from tunescope.stats.crossed import seed_interval
from tunescope.stats.equivalence import equivalence_test, non_inferiority_test, ratio_test

A, B = np.array([0.80, 0.82, 0.79, 0.83]), np.array([0.81, 0.80, 0.80, 0.82])


def test_margins_go_to_their_tests() -> None:
    found = seed_interval(A, B, paired=True)
    assert found.estimate.value is not None
    assert found.standard_error is not None
    assert found.df is not None
    numbers = (found.estimate.value, found.standard_error, found.df)
    within = Claim(kind="equivalent_within", bound=0.03)
    assert margin_test(within, found, higher_is_better=True, alpha=0.05) == equivalence_test(*numbers, margin=0.03)
    worse = Claim(kind="not_worse_by", bound=0.03)
    assert margin_test(worse, found, higher_is_better=True, alpha=0.05) == non_inferiority_test(*numbers, margin=0.03)


def test_not_worse_of_an_error_looks_at_the_other_side() -> None:
    claim = Claim(kind="not_worse_by", bound=0.03)
    higher = margin_test(claim, seed_interval(A, B, paired=True), higher_is_better=True, alpha=0.05)
    lower = margin_test(claim, seed_interval(-A, -B, paired=True), higher_is_better=False, alpha=0.05)
    assert lower.p_value == pytest.approx(higher.p_value, rel=1e-12)
    assert lower.claim == "A - B < 0.03"


def test_ratio_of_scores_per_seed_is_ratio_tests() -> None:
    claim = Claim(kind="ratio_below", bound=1.1)
    found = ratio_claim_test(claim, seed_interval(np.log(A), np.log(B), paired=True), alpha=0.05)
    expected = ratio_test(A, B, ratio=1.1, paired=True)
    assert (found.p_value, found.ci_low, found.ci_high) == pytest.approx(
        (expected.p_value, expected.ci_low, expected.ci_high), rel=1e-10
    )
    above = Claim(kind="ratio_above", bound=1.1)
    other = ratio_claim_test(above, seed_interval(np.log(A), np.log(B), paired=True), alpha=0.05)
    assert found.p_value is not None
    assert other.p_value == pytest.approx(1.0 - found.p_value, rel=1e-10)


def test_what_cannot_be_tested_keeps_its_reason() -> None:
    lone = seed_interval(A[:1], B[:1], paired=True)
    test = margin_test(Claim(kind="equivalent_within", bound=0.03), lone, higher_is_better=True, alpha=0.05)
    assert test.p_value is None
    assert test.claim == "|A - B| < 0.03"
    assert "one seed" in test.reason
    ratio = Claim(kind="ratio_below", bound=0.8)
    assert ratio_claim_test(ratio, "no score above 0", alpha=0.05).reason == "no score above 0"
    assert ratio_claim_test(ratio, lone, alpha=0.05).p_value is None


def test_wrong_claims_are_refused() -> None:
    with pytest.raises(ValueError, match=r"kind must be one of equivalent_within, .* got 'better'"):
        Claim(kind="better", bound=1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"bound must be a number above 0, got -0.03"):
        Claim(kind="equivalent_within", bound=-0.03)
    found = seed_interval(A, B, paired=True)
    with pytest.raises(ValueError, match="ratio_claim_test takes it"):
        margin_test(Claim(kind="ratio_below", bound=0.8), found, higher_is_better=True, alpha=0.05)
    with pytest.raises(ValueError, match="margin_test takes it"):
        ratio_claim_test(Claim(kind="not_worse_by", bound=0.8), found, alpha=0.05)
