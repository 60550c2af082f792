"""Laws of the tests and effect sizes: swapping the arms, shifting and scaling, and never a p of 0."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.stats.budget_curve import expected_best
from tunescope.stats.effect_size import effect_size, paired_effect_size
from tunescope.stats.equivalence import equivalence_test, ratio_test
from tunescope.stats.holm import holm
from tunescope.stats.mcnemar import mcnemar
from tunescope.stats.permutation import label_permutation_test, sign_flip_test
from tunescope.stats.ranking import rank_methods
from tunescope.stats.superiority import paired_probability_better, probability_better

# Scores as benchmarks print them, thousandths: ties occur.
_score = st.integers(-1000, 1000).map(lambda thousandths: thousandths / 1000)
_scores = st.lists(_score, min_size=1, max_size=8)


@given(_scores)
def test_sign_flip(differences):
    result = sign_flip_test(differences)
    assert result.smallest_p <= result.p_value <= 1.0
    assert sign_flip_test([-difference for difference in differences]).p_value == result.p_value
    assert sign_flip_test(differences[::-1]).p_value == result.p_value
    assert sign_flip_test([3.0 * difference for difference in differences]).p_value == result.p_value
    # By listing.
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in _signs(len(differences))]
    assert result.p_value == pytest.approx(np.mean(np.array(sums) >= abs(sum(differences)) - 1e-9), abs=1e-12)


def _signs(number):
    return itertools.product((1, -1), repeat=number)


@given(_scores, _scores)
def test_labels(a, b):
    result = label_permutation_test(a, b)
    assert result.smallest_p <= result.p_value <= 1.0
    assert label_permutation_test(b, a).p_value == pytest.approx(result.p_value, abs=1e-12)
    assert label_permutation_test([x + 7.0 for x in a], [x + 7.0 for x in b]).p_value == result.p_value


@given(st.lists(_score, min_size=3, max_size=8))
def test_paired_effect_size(differences):
    estimate, swapped = paired_effect_size(differences), paired_effect_size([-x for x in differences])
    assert estimate.is_estimable == swapped.is_estimable
    if estimate.is_estimable:
        assert swapped.value == pytest.approx(-estimate.value)
        if estimate.ci_low is not None:
            assert estimate.ci_low < estimate.ci_high
            assert (swapped.ci_low, swapped.ci_high) == (
                pytest.approx(-estimate.ci_high, rel=1e-6, abs=1e-8),
                pytest.approx(-estimate.ci_low, rel=1e-6, abs=1e-8),
            )
            # It leaves out 0 exactly where the t test rejects.
            t = np.mean(differences) / np.std(differences, ddof=1) * math.sqrt(len(differences))
            from scipy.stats import t as student

            p_value = 2 * student.sf(abs(t), len(differences) - 1)
            if abs(p_value - 0.05) > 1e-6:
                assert (p_value < 0.05) == (estimate.ci_low > 0 or estimate.ci_high < 0)


@given(st.lists(_score, min_size=2, max_size=6), st.lists(_score, min_size=2, max_size=6))
def test_unpaired_effect_size(a, b):
    estimate, swapped = effect_size(a, b), effect_size(b, a)
    assert estimate.is_estimable == swapped.is_estimable
    if estimate.is_estimable:
        assert swapped.value == pytest.approx(-estimate.value, abs=1e-12)


@given(_scores, _scores)
def test_probability_better(a, b):
    estimate, swapped = probability_better(a, b), probability_better(b, a)
    assert 0.0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1.0
    assert estimate.ci_low < estimate.ci_high
    assert swapped.value == pytest.approx(1.0 - estimate.value)
    assert swapped.ci_low == pytest.approx(1.0 - estimate.ci_high, abs=1e-9)
    paired, flipped = paired_probability_better(a), paired_probability_better([-x for x in a])
    assert 0.0 <= paired.ci_low <= paired.value <= paired.ci_high <= 1.0
    assert flipped.value == pytest.approx(1.0 - paired.value)
    assert flipped.ci_low == pytest.approx(1.0 - paired.ci_high, abs=1e-12)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= 1.0).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0.0).all()
    assert holm([None, *p_values])[1:].tolist() == adjusted.tolist()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar(answers):
    a, b = zip(*answers, strict=True)
    table, swapped = mcnemar(a, b), mcnemar(b, a)
    assert table.num_both + table.num_only_a + table.num_only_b + table.num_neither == len(answers)
    assert (swapped.num_only_a, swapped.num_only_b) == (table.num_only_b, table.num_only_a)
    assert swapped.test.p_value == table.test.p_value
    assert table.test.smallest_p <= table.test.p_value <= 1.0
    assert sign_flip_test(np.subtract(a, b, dtype=float)).p_value == pytest.approx(table.test.p_value, abs=1e-12)


@given(st.floats(-1, 1), st.floats(0.001, 1), st.floats(1, 50), st.floats(0.01, 1), st.floats(1.01, 3))
def test_equivalence(estimate, error, df, margin, factor):
    test = equivalence_test(estimate, error, df, margin=margin)
    assert equivalence_test(-estimate, error, df, margin=margin).p_value == pytest.approx(test.p_value, abs=1e-12)
    assert equivalence_test(estimate, error, df, margin=margin * factor).p_value <= test.p_value
    assert 0.0 <= test.p_value <= 1.0


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=6), st.floats(0.2, 0.9), st.floats(0.5, 20))
def test_a_ratio_has_no_unit(b, ratio, unit):
    a = [x * (0.7 + 0.05 * index) for index, x in enumerate(b)]
    test = ratio_test(a, b, ratio=ratio, paired=True)
    scaled = ratio_test([x * unit for x in a], [x * unit for x in b], ratio=ratio, paired=True)
    assert scaled.p_value == pytest.approx(test.p_value, rel=1e-6, abs=1e-12)


@settings(max_examples=40)
@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 1000))
def test_ranking(num_tasks, num_methods, seed):
    scores = np.random.default_rng(seed).integers(0, 6, (num_tasks, num_methods)).astype(float)
    names = [f"m{index}" for index in range(num_methods)]
    ranking = rank_methods(scores, names)
    assert sum(ranking.average_ranks) == pytest.approx(num_methods * (num_methods + 1) / 2)
    assert list(ranking.average_ranks) == sorted(ranking.average_ranks)
    # Ranks see order only.
    assert rank_methods(np.exp(scores), names) == ranking
    assert rank_methods(-scores, names, higher_is_better=False) == ranking


@given(st.lists(st.one_of(_score, st.none()), min_size=1, max_size=8).filter(lambda x: any(s is not None for s in x)))
def test_budget_curve(scores):
    known = [score for score in scores if score is not None]
    filled = [min(known) if score is None else score for score in scores]
    curve = expected_best(scores, range(1, len(scores) + 1))
    values = [estimate.value for estimate in curve]
    for k, value in enumerate(values, start=1):
        assert value == pytest.approx(np.mean([max(c) for c in itertools.combinations(filled, k)]), abs=1e-12)
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(values))
    assert values[-1] == pytest.approx(max(known), abs=1e-15)
    left_out = expected_best(scores, range(1, len(known) + 1), failed="left_out")
    # A sweep that fails now and then finds less with the same number of trials.
    assert all(out.value >= within.value - 1e-12 for out, within in zip(left_out, curve, strict=False))
