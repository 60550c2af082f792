"""Claims about margins and ratios: the p-value and the interval say the same, and bad margins are refused."""

import math

import pytest

from tunescope.stats.equivalence import bound_test, equivalence_test, log_ratio, non_inferiority_test, ratio_test


@pytest.mark.parametrize("estimate", [-0.04, -0.02, -0.01, 0.0, 0.012, 0.0229, 0.03])
@pytest.mark.parametrize("df", [2.0, 7.5, math.inf])
def test_p_below_alpha_is_the_interval_within_the_margin(estimate, df):
    test = equivalence_test(estimate, 0.005, df, margin=0.03, alpha=0.05)
    assert (test.p_value < 0.05) == (test.ci_low > -0.03 and test.ci_high < 0.03)
    assert test.level == pytest.approx(0.9)
    lower = non_inferiority_test(estimate, 0.005, df, margin=0.03, alpha=0.05)
    assert (lower.p_value < 0.05) == (lower.ci_low > -0.03)
    assert lower.p_value <= test.p_value
    below = bound_test(estimate, 0.005, df, bound=0.01, side="below")
    above = bound_test(estimate, 0.005, df, bound=0.01, side="above")
    assert (below.p_value < 0.05) == (below.ci_high < 0.01)
    assert below.p_value + above.p_value == pytest.approx(1.0)


def test_claims_are_in_words():
    assert equivalence_test(0.0, 1.0, 3, margin=0.03).claim == "|A - B| < 0.03"
    assert non_inferiority_test(0.0, 1.0, 3, margin=0.03).claim == "A - B > -0.03"
    assert bound_test(0.0, 1.0, 3, bound=-2.0, side="below").claim == "A - B < -2"
    assert ratio_test([1.0, 2.0], [2.0, 2.0], ratio=0.8, paired=True).claim == "A / B < 0.8"


def test_no_spread_is_not_estimable():
    test = equivalence_test(0.01, 0.0, 4, margin=0.03)
    assert test.p_value is None
    assert test.ci_low is None
    assert "no spread" in test.reason
    ratio = ratio_test([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], ratio=0.8, paired=True)
    assert ratio.p_value is None
    assert ratio.estimate == pytest.approx(0.5)


def test_a_ratio_is_that_of_geometric_means():
    test = ratio_test([1.0, 4.0], [4.0, 9.0], ratio=0.8, paired=False)
    assert test.estimate == pytest.approx(2.0 / 6.0)
    assert test.ci_low < test.estimate < test.ci_high
    inverse = ratio_test([4.0, 9.0], [1.0, 4.0], ratio=1 / 0.8, paired=False, side="above")
    assert inverse.p_value == pytest.approx(test.p_value, rel=1e-12)
    assert inverse.ci_low == pytest.approx(1 / test.ci_high)


def test_ratios_need_two_seeds_and_scores_above_0():
    assert "one seed" in ratio_test([1.0], [2.0], ratio=0.8, paired=True).reason
    assert "above 0; the lowest is -1" in ratio_test([1.0, -1.0], [2.0, 2.0], ratio=0.8, paired=True).reason
    assert log_ratio([0.0, 1.0], [1.0, 1.0], paired=False).estimate is None
    same = log_ratio([2.0, 2.0], [1.0, 1.0], paired=False)
    assert (same.estimate, same.standard_error) == (pytest.approx(math.log(2.0)), 0.0)


@pytest.mark.parametrize(
    "arguments,words",
    [
        ({"estimate": float("nan")}, "estimate must be a finite number"),
        ({"standard_error": -1.0}, "standard_error must be"),
        ({"standard_error": float("nan")}, "standard_error must be"),
        ({"df": 0.0}, "df must be above 0"),
        ({"margin": 0.0}, "margin must be a number above 0"),
        ({"margin": math.inf}, "margin must be a number above 0"),
        ({"alpha": 0.5}, "2 alpha must lie between 0 and 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    good = {"estimate": 0.0, "standard_error": 0.01, "df": 4.0, "margin": 0.03, "alpha": 0.05}
    with pytest.raises(ValueError, match=f"equivalence_test: {words}"):
        equivalence_test(**(good | arguments))
    with pytest.raises(ValueError, match=f"non_inferiority_test: {words}"):
        non_inferiority_test(**(good | arguments))


def test_bad_ratios_bounds_and_sides_are_refused():
    with pytest.raises(ValueError, match="same seeds, got 2 and 3"):
        ratio_test([1.0, 2.0], [1.0, 2.0, 3.0], ratio=0.8, paired=True)
    with pytest.raises(ValueError, match="ratio must be a number above 0"):
        ratio_test([1.0, 2.0], [1.0, 2.0], ratio=-0.8, paired=True)
    with pytest.raises(ValueError, match="side must be"):
        ratio_test([1.0, 2.0], [1.0, 2.0], ratio=0.8, paired=True, side="lower")
    with pytest.raises(ValueError, match="side must be"):
        bound_test(0.0, 1.0, 3, bound=0.1, side="lower")
    with pytest.raises(ValueError, match="bound must be"):
        bound_test(0.0, 1.0, 3, bound=math.nan, side="below")
