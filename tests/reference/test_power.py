"""Power against statsmodels where it offers the same, and against simulation where nobody does.

statsmodels 0.15: `TTestPower` (one sample, so also pairs) and `TTestIndPower`; both are noncentral t as ours, so the
tolerance of 1e-6 is rounding. The rest is held to simulated studies with a fixed seed; each tolerance is four standard errors
of the simulation, and what a formula leaves out is said where it is tested.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from tunescope.stats.crossed import crossed_interval
from tunescope.stats.permutation import sign_flip_test
from tunescope.stats.power import Assumptions, power
from tunescope.stats.spread import accuracy_spread, f1_spread, matthews_spread
from tunescope.stats.t_power import equivalence_power, t_power


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("effect", [0.0, 0.3, 0.7, 1.4])
def test_t_power_is_statsmodels(num_seeds: int, effect: float) -> None:
    paired = TTestPower().power(effect, num_seeds, 0.05)
    assert t_power(effect, 1 / math.sqrt(num_seeds), num_seeds - 1) == pytest.approx(paired, abs=1e-6)
    unpaired = TTestIndPower().power(effect, num_seeds, 0.05)
    assert t_power(effect, math.sqrt(2 / num_seeds), 2 * (num_seeds - 1)) == pytest.approx(unpaired, abs=1e-6)


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10, 40])
def test_without_examples_the_smallest_difference_is_statsmodels(num_seeds: int) -> None:
    assumed = Assumptions(seed_sd=0.013, seed_correlation=0.4)
    paired = power("paired", num_seeds=num_seeds, num_examples=None, assumptions=assumed)
    effect = TTestPower().solve_power(None, num_seeds, 0.05, 0.8)
    assert paired.detectable_by_interval == pytest.approx(effect * 0.013 * math.sqrt(2 * 0.6), rel=1e-6)
    half = stats.t.ppf(0.975, num_seeds - 1) * 0.013 * math.sqrt(2 * 0.6 / num_seeds)
    assert paired.half_width == pytest.approx(half, rel=1e-9)
    unpaired = power("unpaired", num_seeds=num_seeds, num_examples=None, assumptions=assumed)
    effect = TTestIndPower().solve_power(None, num_seeds, 0.05, 0.8)
    assert unpaired.detectable_by_interval == pytest.approx(effect * 0.013, rel=1e-6)


@pytest.mark.parametrize("margin", [0.02, 0.04])
def test_seeds_beyond_the_simulated_ones_are_statsmodels(margin: float) -> None:
    found = power(
        "unpaired_seeds", num_seeds=3, num_examples=None, assumptions=Assumptions(seed_sd=0.05), margin=margin
    )
    wanted = math.ceil(TTestIndPower().solve_power(margin / 0.05, None, 0.05, 0.8))
    assert wanted > 7
    assert found.seeds_to_detect is not None
    assert found.seeds_to_detect.num_seeds == wanted


@pytest.mark.parametrize("df", [1, 2, 4, 9, 60.5])
@pytest.mark.parametrize("margin", [0.5, 2.0, 3.5, 8.0])
def test_equivalence_power_is_the_integral(df: float, margin: float) -> None:
    """scipy's adaptive quadrature over scipy's chi density."""
    critical = stats.t.ppf(0.95, df)

    def density(s: float) -> float:
        return float(
            stats.chi.pdf(s * math.sqrt(df), df) * math.sqrt(df) * (2 * stats.norm.cdf(margin - critical * s) - 1)
        )

    expected, _ = integrate.quad(density, 0, margin / critical, epsabs=1e-12, epsrel=1e-10, limit=500)
    assert equivalence_power(margin, 1.0, df) == pytest.approx(expected, abs=1e-8)


def test_equivalence_power_is_what_simulated_tests_show() -> None:
    rng, runs, num_seeds, margin, sd = np.random.default_rng(1), 200_000, 5, 0.03, 0.02
    seeds = rng.normal(0.0, sd, (runs, num_seeds))
    half = stats.t.ppf(0.95, num_seeds - 1) * seeds.std(axis=1, ddof=1) / math.sqrt(num_seeds)
    shown = float((np.abs(seeds.mean(axis=1)) + half < margin).mean())
    assert equivalence_power(margin, sd / math.sqrt(num_seeds), num_seeds - 1) == pytest.approx(shown, abs=0.0045)


def test_both_tests_together_find_what_simulated_studies_show() -> None:
    """Six paired seeds, no examples: t and sign flips must agree; the shipped tests on simulated seeds."""
    assumed = Assumptions(seed_sd=0.02)
    found = power("paired", num_seeds=6, num_examples=None, assumptions=assumed).detectable
    assert found is not None
    rng, runs = np.random.default_rng(2), 3000
    differences = rng.normal(found, 0.02 * math.sqrt(2), (runs, 6))
    by_t = stats.ttest_1samp(differences, 0.0, axis=1).pvalue
    by_flips = np.array([sign_flip_test(row).p_value for row in differences])
    shown = float((np.maximum(by_t, by_flips) <= 0.05).mean())
    assert shown == pytest.approx(0.8, abs=4 * 0.0073 + 0.0063 * 4)  # its Monte Carlo error and that of `power`


def _studies(difference: float, runs: int, seed: int) -> np.ndarray:
    """(runs, 2, S, n) right or wrong, S = 8, n = 500: a share of examples is right for A alone whatever the seed, a share for
    B alone, 16% are a coin's toss for either and every seed, whose bias the seed sets; the rest is right for both.
    Two seeds disagree on 8%, two methods on 8% more than the shares that are one method's alone."""
    rng, num_seeds, n = np.random.default_rng(seed), 8, 500
    own = 0.03
    kind = rng.choice(4, size=(runs, n), p=[own + difference / 2, own - difference / 2, 0.16, 1 - 0.16 - 2 * own])
    bias = 0.5 + rng.normal(0.0, 0.05, (runs, 2, num_seeds, 1))
    toss = rng.random((runs, 2, num_seeds, n)) < bias
    fixed = np.stack([kind != 1, kind != 0], axis=1)[:, :, None, :]
    return np.where((kind == 2)[:, None, None, :], toss, fixed)


def test_variance_half_width_and_power_are_those_of_simulated_studies() -> None:
    runs = 1500
    seed_discordance = 0.16 * 2 * 0.25  # two seeds toss independent coins of mean 1/2
    seed_sd = math.sqrt(seed_discordance / 2 / 500 + (0.16 * 0.05) ** 2)
    assumed = Assumptions(seed_sd=seed_sd, discordance=0.06 + seed_discordance, seed_discordance=seed_discordance)
    found = power("paired", num_seeds=8, num_examples=500, spread=accuracy_spread(0.89), assumptions=assumed)
    assert found.detectable is not None
    assert found.variance is not None
    studies = _studies(found.detectable, runs, seed=3).astype(float)
    crossed = [crossed_interval(*study, paired_by_seed=True) for study in studies]
    estimates = np.array([each.estimate.value for each in crossed], dtype=float)
    errors = np.array([each.standard_error for each in crossed], dtype=float)
    flips = np.array([sign_flip_test(each).p_value for each in (studies[:, 0] - studies[:, 1]).mean(axis=2)])
    # The variance of a variance from `runs` normal studies: 2 / runs of its square; - difference^2 / n is left out, see power.py.
    left_out = found.detectable**2 / 500
    assert estimates.mean() == pytest.approx(found.detectable, abs=4 * math.sqrt(found.variance / runs))
    assert estimates.var() == pytest.approx(found.variance - left_out, rel=4 * math.sqrt(2 / runs))
    assert (errors**2).mean() == pytest.approx(found.variance - left_out, rel=0.03)
    widths = np.array([(each.estimate.ci_high or 0.0) - (each.estimate.ci_low or 0.0) for each in crossed]) / 2
    assert widths.mean() == pytest.approx(
        found.half_width, rel=0.04
    )  # a mean of square roots is below the root of the mean
    both = np.maximum(flips, [each.p_value or 0.0 for each in crossed])
    assert (both <= 0.05).mean() == pytest.approx(0.8, abs=4 * 0.0103 + 0.02)  # and the variance left out


@pytest.mark.parametrize("name, spread", [("f1", f1_spread), ("matthews", matthews_spread)])
@pytest.mark.parametrize("positive_share", [0.5, 0.68])
def test_delta_method_spreads_are_those_of_simulated_test_sets(name: str, spread, positive_share: float) -> None:
    """Two runs on 1,000 examples, accuracy 0.85, that disagree on 10%: variance of one score and of the difference."""
    rng, runs, n, accuracy, discordance = np.random.default_rng(4), 8000, 1000, 0.85, 0.10
    found = spread(accuracy, positive_share)
    positive = rng.random((runs, n), dtype=np.float32) < positive_share
    both_right = accuracy - discordance / 2
    draw = rng.random((runs, n), dtype=np.float32)
    right_a = draw < accuracy
    right_b = (draw < both_right) | ((draw >= accuracy) & (draw < accuracy + discordance / 2))
    scores = []
    for right in (right_a, right_b):
        tp, fn = (positive & right).sum(axis=1), (positive & ~right).sum(axis=1)
        fp, tn = (~positive & ~right).sum(axis=1), (~positive & right).sum(axis=1)
        if name == "f1":
            scores.append(2 * tp / (2 * tp + fp + fn))
        else:
            product = (tp + fp).astype(float) * (tp + fn) * (tn + fp) * (tn + fn)
            scores.append((tp * tn - fp * fn) / np.sqrt(product))
    tolerance = 4 * math.sqrt(2 / runs) + 0.02  # simulation, and the delta method's O(1/n)
    assert n * scores[0].var() == pytest.approx(found.variance, rel=tolerance)
    assert n * (scores[0] - scores[1]).var() == pytest.approx(found.swing * discordance, rel=tolerance)
