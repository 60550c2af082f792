"""Laws of scores of means: they combine to what tunescope.tasks computes, whatever the labels; order is of no account."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunescope.stats.components import score_of_means
from tunescope.tasks.scores import SCORES

quick = settings(max_examples=50, deadline=None, derandomize=True)
labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)
numbers = st.lists(st.tuples(st.integers(-50, 50).map(float), st.integers(-50, 50).map(float)), min_size=2, max_size=30)


@quick
@given(pairs=labels, name=st.sampled_from(["accuracy", "f1", "macro_f1", "matthews"]))
def test_labels_combine_to_the_tasks_scores(pairs: list[tuple[int, int]], name: str) -> None:
    targets, predictions = (np.array(side) for side in zip(*pairs, strict=True))
    if name == "f1":
        targets, predictions = targets % 2, predictions % 2
    score = score_of_means(name, num_labels=4)
    components = score.components(targets, predictions)
    try:
        expected = SCORES[name].function(targets, predictions)
    except ValueError:
        assert np.isnan(score.score(components))  # undefined in both places
        return
    assert float(score.score(components)) == pytest.approx(expected, abs=1e-12)
    assert score.influence(components).mean() == pytest.approx(expected, abs=1e-12)


@quick
@given(pairs=numbers, name=st.sampled_from(["pearson", "spearman", "mse", "rmse"]))
def test_numbers_combine_to_the_tasks_scores(pairs: list[tuple[float, float]], name: str) -> None:
    targets, predictions = (np.array(side) for side in zip(*pairs, strict=True))
    if name in ("pearson", "spearman"):
        assume(np.ptp(targets) > 0)
        assume(np.ptp(predictions) > 0)
    score = score_of_means(name)
    components = score.components(targets, predictions)
    expected = SCORES[name].function(targets, predictions)
    assert float(score.score(components)) == pytest.approx(expected, rel=1e-11, abs=1e-11)
    order = np.random.default_rng(0).permutation(len(targets))
    shuffled = score.components(targets[order], predictions[order])
    np.testing.assert_allclose(shuffled, components[order], rtol=0, atol=1e-9 * max(1.0, np.abs(components).max()))
