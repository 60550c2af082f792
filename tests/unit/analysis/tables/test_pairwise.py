"""Each kind of rows gets the test it allows, and says what it is over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tunescope.analysis.tables.pairwise import evidence, mean_score
from tunescope.analysis.tables.scores_file import ScoreRow
from tunescope.stats.mcnemar import mcnemar


def _row(method="a", value=0.5, **changes):
    return ScoreRow(**({"method": method, "task": "", "metric": "accuracy", "seed": None, "value": value} | changes))


def _answered(method, answers, seed=1):
    values = {f"q{place}": float(answer) for place, answer in enumerate(answers)}
    return _row(method, float(np.mean(answers)), seed=seed, num_examples=len(values), by_example=values)


def _seeds(method, values):
    return [_row(method, value, seed=seed) for seed, value in enumerate(values)]


def test_one_seed_with_counts_is_two_independent_shares():
    found = evidence([_row(value=0.4, num_examples=100)], [_row("b", 0.25, num_examples=100)], level=0.95)
    assert found.test.p_value == pytest.approx(stats.fisher_exact([[40, 60], [25, 75]])[1])
    assert found.difference.value == pytest.approx(0.15)
    assert found.units == "examples"
    assert found.pairing.least_p < found.test.p_value < found.pairing.greatest_p


def test_different_numbers_of_examples_cannot_be_paired():
    found = evidence([_row(value=0.4, num_examples=100)], [_row("b", 0.25, num_examples=80)], level=0.95)
    assert found.pairing is None
    assert found.test.p_value == pytest.approx(stats.fisher_exact([[40, 60], [20, 60]])[1])


def test_one_seed_by_example_is_mcnemar():
    rng = np.random.default_rng(0)
    a, b = rng.random(200) < 0.7, rng.random(200) < 0.6
    found = evidence([_answered("a", a)], [_answered("b", b)], level=0.95)
    assert found.test.p_value == mcnemar(a, b).test.p_value
    assert found.difference.value == pytest.approx(a.mean() - b.mean())
    assert found.difference.ci_low < found.difference.value < found.difference.ci_high
    assert (found.units, found.pairing) == ("examples", None)


def test_graded_answers_of_one_seed_are_tested_over_examples():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=50)
    a, b = shared + rng.normal(0.3, 0.5, size=50), shared + rng.normal(0.0, 0.5, size=50)
    found = evidence([_answered("a", a)], [_answered("b", b)], level=0.95)
    t = stats.ttest_rel(a, b)
    assert found.test.p_value == pytest.approx(t.pvalue)
    assert (found.difference.ci_low, found.difference.ci_high) == pytest.approx(tuple(t.confidence_interval()))
    assert found.units == "examples"


def test_seeds_in_both_are_paired_where_they_are_the_same():
    a, b = [0.61, 0.64, 0.66, 0.65], [0.60, 0.62, 0.63, 0.61]
    paired = evidence(_seeds("a", a), list(reversed(_seeds("b", b))), level=0.95)
    assert (paired.difference.ci_low, paired.difference.ci_high) == pytest.approx(
        tuple(stats.ttest_rel(a, b).confidence_interval())
    )
    assert (paired.test.p_value, paired.test.smallest_p) == (0.125, 0.125)  # 2 of 16 sign flips
    assert "paired" in paired.difference.method
    other = evidence(_seeds("a", a), [_row("b", value, seed=9 + s) for s, value in enumerate(b)], level=0.95)
    assert "Welch" in other.difference.method
    assert (other.difference.ci_low, other.difference.ci_high) == pytest.approx(
        tuple(stats.ttest_ind(a, b, equal_var=False).confidence_interval())
    )
    assert other.units == "seeds"


def test_three_seeds_never_call_a_difference_real():
    found = evidence(_seeds("a", [0.90, 0.92, 0.94]), _seeds("b", [0.1, 0.18, 0.12]), level=0.95)
    assert (found.test.p_value, found.test.smallest_p) == (0.25, 0.25)


def test_seeds_and_examples_are_crossed():
    rng = np.random.default_rng(0)
    a = [_answered("a", rng.random(60) < 0.7, seed) for seed in range(3)]
    b = [_answered("b", rng.random(60) < 0.5, seed) for seed in range(3)]
    found = evidence(a, b, level=0.95)
    assert found.units == "seeds and examples"
    assert found.difference.value == pytest.approx(sum(x.value for x in a) / 3 - sum(x.value for x in b) / 3)
    assert found.test.smallest_p == 0.25


@pytest.mark.parametrize(
    "a, b, words",
    [
        ([_row(value=None, reason="out of memory")], [_row("b")], "a: out of memory"),
        ([_row()], [_row("b")], "one score each and no num_examples"),
        (_seeds("a", [0.5, 0.6, 0.7]), [_row("b", num_examples=10)], "one seed of b against 3 of a"),
    ],
)
def test_what_cannot_be_tested_has_no_p_and_says_why(a, b, words):
    found = evidence(a, b, level=0.95)
    assert found.test.p_value is None
    assert words in found.test.reason
    assert (found.difference.ci_low, found.units) == (None, "")


def test_shares_of_known_size_bring_the_examples_part_along():
    a, b = [0.800, 0.804, 0.802, 0.806, 0.801, 0.803], [0.779, 0.781, 0.780, 0.785, 0.778, 0.784]
    alone = evidence(_seeds("a", a), _seeds("b", b), level=0.95)
    assert (alone.units, alone.test.p_value) == ("seeds", 0.03125)
    small, large = (
        evidence(
            [replace(row, num_examples=size) for row in _seeds("a", a)],
            [replace(row, num_examples=size) for row in _seeds("b", b)],
            level=0.95,
        )
        for size in (277, 100_000)
    )
    assert small.units == large.units == "seeds and examples"
    assert small.test.p_value > 0.4, "277 examples do not tell 80% from 78%, however the seeds agree"
    assert large.test.p_value == 0.03125
    assert small.difference.ci_low < 0.0 < large.difference.ci_low
    assert "binomial variance of examples" in small.difference.method


def test_a_lost_seed_leaves_nothing_to_compare():
    lost = [*_seeds("b", [0.1] * 7), *(_row("b", None, seed=seed, reason="out of memory") for seed in (7, 8, 9))]
    for found in (
        evidence(_seeds("a", [0.9] * 10), lost, level=0.95),
        evidence(lost, _seeds("a", [0.9] * 10), level=0.95),
    ):
        assert (found.test.p_value, found.difference.value) == (None, None)
        assert found.test.reason == (
            "3 of 10 seeds of b without a score (out of memory), and fewer runs are no smaller sample"
        )


def test_one_seed_against_several_is_no_comparison_of_methods():
    rng = np.random.default_rng(0)
    several = [_answered("b", rng.random(400) < 0.75, seed) for seed in range(40)]
    found = evidence([_answered("a", rng.random(400) < 0.63, 0)], several, level=0.95)
    assert found.test.p_value is None
    assert found.test.reason.startswith("one seed of a against 40 of b: nothing shows how far another seed of a")
    assert found.difference.value == pytest.approx(-0.12, abs=0.05)


def test_equal_scores_are_no_difference_and_no_error():
    found = evidence(_seeds("a", [0.5, 0.5, 0.5]), _seeds("b", [0.5, 0.5, 0.5]), level=0.95)
    assert (found.difference.value, found.test.p_value) == (0.0, 1.0)
    found = evidence([_answered("a", [0.5, 0.2, 0])], [_answered("b", [0.5, 0.2, 0])], level=0.95)
    assert (found.difference.value, found.test.p_value) == (0.0, 1.0)
    found = evidence([_answered("a", [1, 1, 0])], [_answered("b", [1, 1, 0])], level=0.95)
    assert (found.difference.value, found.test.p_value) == (0.0, 1.0)
    found = evidence([_row(value=0.0, num_examples=10)], [_row("b", 0.0, num_examples=10)], level=0.95)
    assert (found.difference.value, found.test.p_value) == (0.0, pytest.approx(1.0))


def test_a_mean_has_the_interval_its_rows_allow():
    values = [0.61, 0.64, 0.66, 0.65]
    over_seeds = mean_score(_seeds("a", values), level=0.95)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval()
    assert (over_seeds.ci_low, over_seeds.ci_high) == pytest.approx(tuple(expected))
    assert (over_seeds.num_seeds, over_seeds.method) == (4, "t over seeds")
    of_counts = mean_score([_row(value=0.4, num_examples=100)], level=0.95)
    assert (of_counts.ci_low, of_counts.ci_high) == pytest.approx((0.3094, 0.4980), abs=5e-5)
    graded = mean_score([_answered("a", [0.5, 0.25, 0.75, 0.1])], level=0.95)
    expected = stats.ttest_1samp([0.5, 0.25, 0.75, 0.1], 0.0).confidence_interval()
    assert (graded.ci_low, graded.ci_high) == pytest.approx(tuple(expected))


def test_a_mean_without_interval_says_why():
    assert "neither seeds nor examples" in mean_score([_row()], level=0.95).reason
    assert "all 2 seeds score the same" in mean_score(_seeds("a", [0.5, 0.5]), level=0.95).reason
    failed = mean_score([_row(value=None, reason="out of memory")], level=0.95)
    assert (failed.value, failed.reason) == (None, "out of memory")


def test_a_lost_seed_is_said():
    rows = [*_seeds("a", [0.5, 0.6]), _row(value=None, seed=7, reason="out of memory")]
    assert mean_score(rows, level=0.95).reason == "1 of 3 seeds without a score (out of memory)"
