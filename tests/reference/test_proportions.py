"""Shares from counts against statsmodels and scipy.

Closed forms agree to 1e-10 relative; Fisher's p too, though scipy sums other terms in another order.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

from tunescope.analysis.tables.compare_file import compare_scores_file
from tunescope.stats.holm import holm
from tunescope.stats.proportions import pairing_bounds, proportion_difference, proportion_test, wilson_interval

_TOLERANCE = 1e-10
_COUNTS = [(694, 1319, 677, 1319), (694, 1319, 631, 1319), (16, 1319, 6, 1319), (3, 277, 9, 408), (40, 50, 20, 70)]


@pytest.mark.parametrize("counts", _COUNTS)
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_intervals(counts, level):
    a, m, b, n = counts
    assert wilson_interval(a, m, level=level) == pytest.approx(
        proportion_confint(a, m, alpha=1 - level, method="wilson"), rel=_TOLERANCE
    )
    found = proportion_difference(*counts, level=level)
    expected = confint_proportions_2indep(a, m, b, n, method="newcomb", alpha=1 - level)
    assert (found.ci_low, found.ci_high) == pytest.approx(expected, rel=_TOLERANCE)


@pytest.mark.parametrize("counts", _COUNTS)
def test_tests(counts):
    a, m, b, n = counts
    table = [[a, m - a], [b, n - b]]
    assert proportion_test(*counts, test="score").p_value == pytest.approx(
        proportions_ztest([a, b], [m, n])[1], rel=_TOLERANCE
    )
    assert proportion_test(*counts).p_value == pytest.approx(stats.fisher_exact(table)[1], rel=_TOLERANCE)
    chance = stats.hypergeom.pmf(a, m + n, a + b, m)
    mid_p = stats.fisher_exact(table)[1] - 0.5 * chance * (1 + (m == n and a != b))
    if m == n:  # symmetric, so the equally probable tables are the one found and its mirror image
        assert proportion_test(*counts, test="mid_p").p_value == pytest.approx(mid_p, rel=_TOLERANCE)


@pytest.mark.parametrize("counts", [(694, 677, 1319), (16, 6, 1319), (40, 20, 70)])
def test_pairing_bounds_are_mcnemars_p_at_the_ends(counts):
    bounds = pairing_bounds(*counts)
    difference = abs(counts[0] - counts[1])
    for discordant, p_value in (
        (bounds.least_discordant, bounds.least_p),
        (bounds.most_discordant, bounds.greatest_p),
    ):
        only_a, only_b = (discordant + difference) // 2, (discordant - difference) // 2
        expected = statsmodels_mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue
        assert p_value == pytest.approx(min(expected, 1.0), rel=_TOLERANCE)


def test_holm():
    p_values = np.random.default_rng(0).uniform(size=200) ** 3
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], rel=_TOLERANCE)


@pytest.mark.mirror
def test_pefts_results_anew_from_the_files(mirror):
    """The whole analysis of the 63 results by other means: json, scipy and statsmodels."""
    folder = mirror / "peft_method_comparison" / "MetaMathQA"
    correct = {}
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        correct[content["run_info"]["experiment_name"]] = content["train_info"]["metrics"][-1]["test accuracy"] * 1319
    assert all(abs(count - round(count)) < 1e-9 for count in correct.values())
    (ranking,) = compare_scores_file(folder).rankings
    p_values = []
    for pair in ranking.pairs:
        a, b = round(correct[pair.above]), round(correct[pair.below])
        assert a >= b
        p_values.append(stats.fisher_exact([[a, 1319 - a], [b, 1319 - b]])[1])
        assert pair.test.p_value == pytest.approx(max(p_values[-1], 1e-300), rel=_TOLERANCE)
    expected = multipletests(p_values, method="holm", alpha=0.05)
    assert [pair.p_holm for pair in ranking.pairs] == pytest.approx(expected[1], rel=_TOLERANCE)
    assert sum(expected[0]) == sum(pair.verdict == "better" for pair in ranking.pairs) == 1186
    for pair in ranking.pairs[::97]:
        a, b = round(correct[pair.above]), round(correct[pair.below])
        interval = confint_proportions_2indep(a, 1319, b, 1319, method="newcomb")
        assert (pair.difference.ci_low, pair.difference.ci_high) == pytest.approx(interval, rel=_TOLERANCE)
