"""Tests and effect sizes against scipy, statsmodels and published worked examples.

Tolerance 1e-10 where the same quantity is computed another way (1e-12 for exact permutation p-values, which are ratios of
counts); that of the printed digits where the source is a paper.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind, ttost_paired

from tunescope.stats.budget_curve import expected_best
from tunescope.stats.effect_size import effect_size, paired_effect_size
from tunescope.stats.equivalence import bound_test, equivalence_test, log_ratio, non_inferiority_test, ratio_test
from tunescope.stats.holm import holm
from tunescope.stats.mcnemar import mcnemar
from tunescope.stats.mixed import mixed_model
from tunescope.stats.permutation import label_permutation_test, sign_flip_test
from tunescope.stats.ranking import rank_methods
from tunescope.stats.superiority import paired_probability_better, probability_better


def _mean_difference(a, b, axis=-1):
    return np.mean(a, axis=axis) - np.mean(b, axis=axis)


# Permutation tests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 8, 11])
@pytest.mark.parametrize("decimals", [1, 12])  # 1: many ties
def test_sign_flip_is_scipys_exact_permutation_test(num_seeds, decimals):
    rng = np.random.default_rng(num_seeds)
    a, b = rng.normal(0.5, 1.0, num_seeds).round(decimals), rng.normal(size=num_seeds).round(decimals)
    expected = stats.permutation_test(
        (a, b), _mean_difference, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert sign_flip_test(a - b).p_value == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("size_a,size_b", [(2, 2), (3, 3), (3, 5), (5, 4), (2, 7), (6, 6)])
@pytest.mark.parametrize("decimals", [1, 12])
def test_label_permutation_is_scipys_exact_permutation_test(size_a, size_b, decimals):
    rng = np.random.default_rng(size_a + 10 * size_b)
    a, b = rng.normal(0.5, 1.0, size_a).round(decimals), rng.normal(size=size_b).round(decimals)
    expected = stats.permutation_test(
        (a, b), _mean_difference, permutation_type="independent", n_resamples=np.inf, vectorized=True
    )
    assert label_permutation_test(a, b).p_value == pytest.approx(expected.pvalue, abs=1e-12)


def test_sign_flip_of_zero_one_differences_is_the_binomial_test():
    differences = np.array([1] * 25 + [-1] * 11 + [0] * 241)
    assert sign_flip_test(differences).p_value == pytest.approx(stats.binomtest(11, 36).pvalue, abs=1e-12)


def test_label_permutation_of_zero_one_scores_is_twice_fishers_one_sided_test():
    a, b = np.array([1] * 40 + [0] * 20), np.array([1] * 30 + [0] * 47)
    one_sided = stats.fisher_exact([[40, 20], [30, 47]], alternative="greater").pvalue
    assert label_permutation_test(a, b).p_value == pytest.approx(2 * one_sided, abs=1e-12)


# McNemar and Holm -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("only_a,only_b", [(0, 3), (7, 7), (12, 30), (0, 0), (200, 150)])
def test_mcnemar_is_statsmodels_exact_test(only_a, only_b):
    a = np.repeat([1, 1, 0, 0], [40, only_a, only_b, 9])
    b = np.repeat([1, 0, 1, 0], [40, only_a, only_b, 9])
    expected = statsmodels_mcnemar([[40, only_a], [only_b, 9]], exact=True).pvalue
    assert mcnemar(a, b).test.p_value == pytest.approx(expected, abs=1e-12)


def test_holm_is_statsmodels():
    for seed in range(20):
        raw = np.random.default_rng(seed).random(1 + seed) ** 3
        assert holm(raw) == pytest.approx(multipletests(raw, method="holm")[1], abs=1e-15)


# Equivalence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.3, 1.0])
def test_equivalence_is_statsmodels_tost(margin):
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.1, 0.4, 8), rng.normal(0.0, 0.5, 8)
    error = float(np.std(a - b, ddof=1)) / math.sqrt(8)
    test = equivalence_test(float(np.mean(a - b)), error, 7, margin=margin)
    p_value, (low_p, high_p) = (
        ttost_paired(a, b, -margin, margin)[0],
        [part[1] for part in ttost_paired(a, b, -margin, margin)[1:3]],
    )
    assert test.p_value == pytest.approx(p_value, abs=1e-10)
    interval = DescrStatsW(a - b).tconfint_mean(alpha=0.1)
    assert (test.ci_low, test.ci_high) == (pytest.approx(interval[0], abs=1e-10), pytest.approx(interval[1], abs=1e-10))
    lower = non_inferiority_test(test.estimate, error, 7, margin=margin)
    assert lower.p_value == pytest.approx(low_p, abs=1e-10)
    upper = bound_test(test.estimate, error, 7, bound=margin, side="below")
    assert upper.p_value == pytest.approx(high_p, abs=1e-10)


def test_unpaired_equivalence_is_statsmodels_welch_tost():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.1, 0.4, 6), rng.normal(0.0, 0.9, 9)
    means = CompareMeans(DescrStatsW(a), DescrStatsW(b))
    test = equivalence_test(float(a.mean() - b.mean()), means.std_meandiff_separatevar, means.dof_satt(), margin=0.6)
    assert test.p_value == pytest.approx(ttost_ind(a, b, -0.6, 0.6, usevar="unequal")[0], abs=1e-10)
    interval = means.tconfint_diff(alpha=0.1, usevar="unequal")
    assert (test.ci_low, test.ci_high) == (pytest.approx(interval[0], abs=1e-10), pytest.approx(interval[1], abs=1e-10))


@pytest.mark.parametrize("side,alternative", [("below", "less"), ("above", "greater")])
def test_ratios_are_scipys_t_tests_of_logs(side, alternative):
    rng = np.random.default_rng(5)
    a, b = np.exp(rng.normal(-0.4, 0.1, 5)), np.exp(rng.normal(0.0, 0.2, 5))
    paired = stats.ttest_1samp(np.log(a / b), math.log(0.8), alternative=alternative)
    assert ratio_test(a, b, ratio=0.8, paired=True, side=side).p_value == pytest.approx(paired.pvalue, abs=1e-10)
    welch = stats.ttest_ind(np.log(a), np.log(b) + math.log(0.8), equal_var=False, alternative=alternative)
    assert ratio_test(a, b, ratio=0.8, paired=False, side=side).p_value == pytest.approx(welch.pvalue, abs=1e-10)
    logs = log_ratio(a, b, paired=False)
    assert logs.df == pytest.approx(welch.df, abs=1e-10)
    two_sided = stats.ttest_rel(np.log(a), np.log(b))
    logs = log_ratio(a, b, paired=True)
    assert logs.estimate / logs.standard_error == pytest.approx(two_sided.statistic, abs=1e-10)


# Effect sizes ---------------------------------------------------------------------------------------------------------


def _noncentral_t_cdf(t, df, noncentrality):
    """By its definition, T = (Z + noncentrality) / sqrt(chi^2 / df), integrated over the standard deviation."""
    from scipy.integrate import quad

    def integrand(s):
        return stats.norm.cdf(t * s - noncentrality) * stats.chi2.pdf(df * s * s, df) * 2 * df * s

    return quad(integrand, 0.0, 8.0, epsabs=1e-13, epsrel=1e-12, limit=400)[0]


@pytest.mark.parametrize("shift,num_seeds", [(0.0, 3), (0.8, 5), (-2.0, 10), (4.0, 4)])
def test_effect_size_limits_invert_the_noncentral_t_by_its_definition(shift, num_seeds):
    differences = np.random.default_rng(num_seeds).normal(shift, 1.0, num_seeds)
    estimate = paired_effect_size(differences)
    t = stats.ttest_1samp(differences, 0.0).statistic
    root = math.sqrt(num_seeds)
    assert _noncentral_t_cdf(t, num_seeds - 1, estimate.ci_low * root) == pytest.approx(0.975, abs=1e-9)
    assert _noncentral_t_cdf(t, num_seeds - 1, estimate.ci_high * root) == pytest.approx(0.025, abs=1e-9)
    other = differences + np.random.default_rng(99).normal(0.0, 1.0, num_seeds)
    unpaired = effect_size(differences, other)
    t = stats.ttest_ind(differences, other).statistic
    root = math.sqrt(num_seeds / 2)
    assert _noncentral_t_cdf(t, 2 * num_seeds - 2, unpaired.ci_low * root) == pytest.approx(0.975, abs=1e-9)
    assert _noncentral_t_cdf(t, 2 * num_seeds - 2, unpaired.ci_high * root) == pytest.approx(0.025, abs=1e-9)


@pytest.mark.parametrize("differences", [[0.5, 1.5, 1.2], [1.0, 2.0, 3.0, 2.5], [2.0, 2.2, 1.9, 2.3, 2.1]])
def test_effect_size_limits_are_scipys_noncentral_t(differences):
    # Only where scipy's own digits are good: it gives NaN for some negative noncentralities.
    estimate = paired_effect_size(differences)
    t, root = stats.ttest_1samp(differences, 0.0).statistic, math.sqrt(len(differences))
    for limit, share in ((estimate.ci_low, 0.975), (estimate.ci_high, 0.025)):
        assert stats.nct.cdf(t, len(differences) - 1, limit * root) == pytest.approx(share, abs=1e-10)


def test_hedges_correction_is_the_published_one():
    # c(m) of Hedges (1981), table 1, to its four digits.
    for df, printed in ((2, 0.5642), (3, 0.7236), (4, 0.7979), (10, 0.9227), (20, 0.9619)):
        values = np.random.default_rng(df).normal(1.0, 1.0, df + 1)
        d = values.mean() / values.std(ddof=1)
        assert paired_effect_size(values).value / d == pytest.approx(printed, abs=5e-5)


# Probability of superiority -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wins,losses", [(3, 0), (2, 1), (0, 5), (7, 3)])
def test_share_of_seeds_won_has_scipys_exact_interval(wins, losses):
    estimate = paired_probability_better([0.1] * wins + [-0.1] * losses)
    exact = stats.binomtest(wins, wins + losses).proportion_ci(0.95, method="exact")
    assert (estimate.ci_low, estimate.ci_high) == (
        pytest.approx(exact.low, abs=1e-12),
        pytest.approx(exact.high, abs=1e-12),
    )


def test_share_of_pairs_is_mann_whitneys_u():
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.4, 1.0, 7).round(1), rng.normal(size=9).round(1)
    assert probability_better(a, b).value == pytest.approx(stats.mannwhitneyu(a, b).statistic / 63, abs=1e-12)


@pytest.mark.parametrize(
    "level,low,high", [(0.9, 0.6591091902344411, 0.9822247870934007), (0.95, 0.5973193600384168, 0.9859976893703788)]
)
def test_newcombes_interval_is_that_of_another_implementation(level, low, high):
    # The example of the R package SingleCaseES (its NAP), A = 20, 20, 26, 25, 22, 23 and B = 28, 25, 24, 27, 30, 30, 29;
    # limits from the tests of an independent JavaScript implementation of Newcombe's (2006) method 5.
    estimate = probability_better([28, 25, 24, 27, 30, 30, 29], [20, 20, 26, 25, 22, 23], level=level)
    assert estimate.value == pytest.approx(0.9166666666666666, abs=1e-12)
    assert (estimate.ci_low, estimate.ci_high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


# Ranking --------------------------------------------------------------------------------------------------------------

# Demsar (2006), table 6: AUC of C4.5, with m, with cf, with both, on 14 data sets. On voting it prints 0.975 twice but
# ranks the first of them higher, from digits it does not print; 0.97501 stands for them.
_DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.97501, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_demsars_worked_example():
    ranking = rank_methods(_DEMSAR, ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"])
    assert ranking.methods == ("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")
    assert ranking.average_ranks == pytest.approx((1.964, 2.000, 2.893, 3.143), abs=5e-4)
    assert ranking.critical_difference == pytest.approx(1.25, abs=5e-3)
    # His chi-square, 9.28, is without the correction for ties; ours, with it, is scipy's.
    ranks = np.array(ranking.average_ranks)
    assert 12 * 14 / 20 * ((ranks**2).sum() - 4 * 25 / 4) == pytest.approx(9.28, abs=5e-3)
    expected = stats.friedmanchisquare(*_DEMSAR.T)
    assert ranking.friedman.p_value == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize(
    "alpha,printed",
    [
        (0.05, [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]),
        (0.10, [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]),
    ],
)
def test_critical_differences_are_demsars_table_5(alpha, printed):
    for num_methods, quantile in zip(range(2, 11), printed, strict=True):
        scores = np.random.default_rng(0).random((10, num_methods))
        ranking = rank_methods(scores, [f"m{index}" for index in range(num_methods)], alpha=alpha)
        unit = math.sqrt(num_methods * (num_methods + 1) / 60)
        assert ranking.critical_difference / unit == pytest.approx(quantile, abs=1.1e-3)


# Mixed model ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_methods", [2, 3])
@pytest.mark.parametrize("seed_sd", [0.02, 0.0])  # 0: the seeds' variance may be estimated at 0, and nothing jumps
@pytest.mark.parametrize("draw", [8, 9, 10])
def test_a_full_design_is_the_two_way_analysis_of_variance(num_methods, seed_sd, draw):
    rng = np.random.default_rng(draw)
    tasks, seeds = ("mrpc", "rte", "sst2"), (1, 2, 3, 4, 5)
    scores = rng.normal(0.0, seed_sd, (3, 5, 1)) + rng.normal(0.8, 0.01, (3, 1, num_methods))
    scores = scores + rng.normal(0.0, 0.008, scores.shape)
    rows = list(itertools.product(range(3), range(5), range(num_methods)))
    model = mixed_model(
        [scores[row] for row in rows],
        [f"m{row[2]}" for row in rows],
        [tasks[row[0]] for row in rows],
        [seeds[row[1]] for row in rows],
    )
    # Residuals of each task after its seeds' and methods' means, pooled.
    residuals = (
        scores - scores.mean(1, keepdims=True) - scores.mean(2, keepdims=True) + scores.mean((1, 2), keepdims=True)
    )
    df = 3 * 4 * (num_methods - 1)
    error = math.sqrt(2 * (residuals**2).sum() / df / 15)
    difference = scores[..., 0].mean() - scores[..., 1].mean()
    contrast = model.contrasts[0]
    assert model.df == df
    assert contrast.difference.value == pytest.approx(difference, abs=1e-10)
    # REML is found by search: its gradient, not its digits, is brought to 0.
    assert contrast.difference.ci_high - difference == pytest.approx(stats.t.isf(0.025, df) * error, rel=1e-4)
    assert contrast.p_value == pytest.approx(2 * stats.t.sf(abs(difference) / error, df), rel=1e-3)


# Budget curve ---------------------------------------------------------------------------------------------------------


def test_expected_best_is_the_mean_over_all_subsets():
    scores = np.random.default_rng(9).normal(size=9)
    for k, estimate in zip(range(1, 10), expected_best(scores, range(1, 10)), strict=True):
        by_hand = np.mean([max(subset) for subset in itertools.combinations(scores, k)])
        assert estimate.value == pytest.approx(by_hand, abs=1e-12)


def test_expected_best_has_the_exact_binomials_weights():
    from fractions import Fraction

    scores = np.random.default_rng(10).random(400)
    for k in (3, 40, 200):
        weights = [Fraction(math.comb(i, k - 1), math.comb(400, k)) for i in range(400)]
        by_hand = float(sum(w * Fraction(x) for w, x in zip(weights, np.sort(scores).tolist(), strict=True)))
        assert expected_best(scores, [k])[0].value == pytest.approx(by_hand, rel=1e-13)


def test_the_interval_is_the_jackknife_by_hand():
    scores = np.random.default_rng(11).random(11)
    estimate = expected_best(scores, [3])[0]
    without = [expected_best(np.delete(scores, i), [3])[0].value for i in range(11)]
    error = math.sqrt(10 / 11 * np.sum((without - np.mean(without)) ** 2))
    assert (estimate.ci_high - estimate.value) / error == pytest.approx(stats.t.ppf(0.975, 2), rel=1e-10)
