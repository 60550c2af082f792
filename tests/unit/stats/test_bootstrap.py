"""Bootstrap intervals: the replicates' variance is known exactly, the stretch, reasons and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.stats.bootstrap import bca, hierarchical_bootstrap, resampled_differences
from tunescope.stats.components import score_of_means
from tunescope.stats.crossed import crossed_interval

ACCURACY = score_of_means("accuracy")


def _arms(seed: int = 0, num_seeds: int = 4, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    common = rng.random(n)
    a, b = ((rng.random((num_seeds, n)) + common < share).astype(float)[..., None] for share in (1.4, 1.2))
    return a, b


def _first(means: np.ndarray) -> np.ndarray:
    return means[..., 0]


def test_replicates_have_the_variance_that_the_module_states() -> None:
    a, b = _arms()
    d = (a - b)[..., 0]
    S, n = d.shape
    A, T = d.mean(axis=1).var(ddof=1) / S, d.mean(axis=0).var(ddof=1) / n
    rest = d - d.mean(axis=1, keepdims=True) - d.mean(axis=0) + d.mean()
    R = (rest**2).sum() / ((S - 1) * (n - 1)) / (S * n)
    expected = (S - 1) / S * A + (n - 1) / n * T + (S - 1) * (n - 1) / (S * n) * R
    drawn = resampled_differences(
        a,
        b,
        ACCURACY,
        paired_by_seed=True,
        same_examples=True,
        num_resamples=40_000,
        rng=np.random.default_rng(1),
    )
    assert drawn.var() == pytest.approx(expected, rel=0.03)
    assert drawn.mean() == pytest.approx(d.mean(), abs=4 * np.sqrt(expected / 40_000))


@pytest.mark.parametrize("paired_by_seed", [True, False])
@pytest.mark.parametrize("same_examples", [True, False])
def test_it_is_about_as_wide_as_the_crossed_interval(paired_by_seed: bool, same_examples: bool) -> None:
    a, b = _arms(2, num_seeds=5, n=300)
    crossed = crossed_interval(
        a[..., 0], b[..., 0], paired_by_seed=paired_by_seed, same_examples=same_examples
    ).estimate
    found = hierarchical_bootstrap(a, b, ACCURACY, paired_by_seed=paired_by_seed, same_examples=same_examples)
    assert found.value == crossed.value
    assert found.ci_low == pytest.approx(crossed.ci_low, abs=0.01)
    assert found.ci_high == pytest.approx(crossed.ci_high, abs=0.01)
    assert (found.num_seeds, found.num_examples) == (5, 300)
    assert "stretched to t" in found.method


def test_one_seed_is_bootstrapped_over_examples() -> None:
    a, b = _arms(3, num_seeds=1, n=300)
    found = hierarchical_bootstrap(a, b, ACCURACY, paired_by_seed=True)
    crossed = crossed_interval(a[..., 0], b[..., 0], paired_by_seed=True).estimate
    assert found.ci_low == pytest.approx(crossed.ci_low, abs=0.01)


def test_the_same_seed_gives_the_same_interval_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _arms()
    first = hierarchical_bootstrap(a, b, ACCURACY, paired_by_seed=True, seed=5)
    assert hierarchical_bootstrap(a, b, ACCURACY, paired_by_seed=True, seed=5) == first
    assert hierarchical_bootstrap(a, b, ACCURACY, paired_by_seed=True, seed=6) != first
    units = a[0]
    whole = bca(units, _first, seed=5)
    monkeypatch.setattr("tunescope.stats.bootstrap._CELLS_PER_CHUNK", 1000)
    assert bca(units, _first, seed=5) == whole


def test_no_variation_is_said_and_no_interval_made_up() -> None:
    same = np.ones((3, 10, 1))
    assert "no variation" in hierarchical_bootstrap(same, same, ACCURACY, paired_by_seed=True).reason
    found = bca(np.ones((10, 1)), _first)
    assert (found.value, found.ci_low) == (1.0, None)
    assert "no variation over 10 units" in found.reason


def test_scores_that_resampling_leaves_undefined_have_no_interval() -> None:
    f1 = score_of_means("f1")
    targets = np.array([1, 1] + [0] * 38)
    a = np.stack([f1.components(targets, np.roll(targets, shift)) for shift in (0, 1, 0)])
    b = np.stack([f1.components(targets, np.roll(targets, shift)) for shift in (1, 1, 0)])
    found = hierarchical_bootstrap(a, b, f1, paired_by_seed=True)
    assert found.value is not None
    assert found.ci_low is None
    assert "undefined (0/0) in" in found.reason
    lone = np.array([1] + [0] * 19)
    alone = bca(f1.components(lone, lone), lambda means: np.real(f1.combine(means)))
    assert "once a certain example is left out" in alone.reason


def test_bca_is_skewed_like_its_data() -> None:
    x = np.random.default_rng(4).lognormal(sigma=1.0, size=60)
    found = bca(x[:, None], _first)
    assert found.value is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_high - found.value > 1.2 * (found.value - found.ci_low)


def test_wrong_arguments_are_refused() -> None:
    a, b = _arms()
    with pytest.raises(ValueError, match="a must be \\(seeds, examples, components\\), finite, got shape \\(4, 60\\)"):
        hierarchical_bootstrap(a[..., 0], b, ACCURACY, paired_by_seed=True)
    with pytest.raises(ValueError, match="num_resamples must be 100 or more, got 10"):
        hierarchical_bootstrap(a, b, ACCURACY, paired_by_seed=True, num_resamples=10)
    with pytest.raises(ValueError, match="as many rows"):
        hierarchical_bootstrap(a, b[:2], ACCURACY, paired_by_seed=True)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        hierarchical_bootstrap(a, b, ACCURACY, paired_by_seed=True, level=1.0)
    with pytest.raises(ValueError, match=r"units must be \(n, k\), finite, with n of 2 or more, got shape \(1, 1\)"):
        bca(np.ones((1, 1)), _first)
    with pytest.raises(ValueError, match="num_resamples must be 100"):
        bca(a[0], _first, num_resamples=99)
    with pytest.raises(ValueError, match="undefined for these units"):
        bca(np.zeros((5, 3)), lambda means: score_of_means("f1").combine(means))
