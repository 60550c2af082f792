"""The mixed model on small tables, and the reasons where it cannot be fitted."""

import numpy as np
import pytest

from tunescope.stats.mixed import mixed_model


def _table(differences, *, tasks=("mrpc", "rte"), seeds=(1, 2, 3, 4), seed_sd=0.02, noise=0.005, generator=None):
    """Rows of a full design: methods[i] is better than the first by differences[i] on every task."""
    rng = generator or np.random.default_rng(0)
    rows = []
    for task in tasks:
        for seed in seeds:
            shared = rng.normal(0.0, seed_sd)
            for index, difference in enumerate(differences):
                rows.append((0.8 + difference + shared + rng.normal(0.0, noise), f"method{index}", task, seed))
    scores, methods, names, numbers = zip(*rows, strict=True)
    return list(scores), list(methods), list(names), list(numbers)


@pytest.mark.parametrize("interaction", [True, False])
def test_finds_the_difference_between_methods(interaction):
    model = mixed_model(*_table([0.0, 0.05, 0.05]), interaction=interaction)
    first, second, third = model.contrasts
    assert (first.a, first.b, third.a, third.b) == ("method0", "method1", "method1", "method2")
    assert first.difference.ci_low < -0.05 < first.difference.ci_high < 0.0
    assert second.p_value < 0.001
    assert third.p_value > 0.05
    assert 0.005 < model.seed_sd < 0.05
    assert 0.002 < model.residual_sd < 0.01


def test_a_missing_run_is_no_obstacle():
    columns = [column[1:] for column in _table([0.0, 0.05])]
    model = mixed_model(*columns)
    assert model.contrasts[0].difference.is_estimable
    assert model.df == 15 - 4 - 6


def test_no_variance_between_seeds_is_said_in_words():
    # Where one method gains on a seed the other loses as much: seeds share less than nothing.
    rows = [
        (0.8 + sign * 0.01 * seed + (0.05 if sign > 0 else 0.0), "lora" if sign > 0 else "full", task, seed)
        for task in ("mrpc", "rte")
        for seed in (-2, -1, 1, 2)
        for sign in (1, -1)
    ]
    model = mixed_model(*(list(column) for column in zip(*rows, strict=True)))
    assert model.contrasts[0].difference.value == pytest.approx(0.05)
    assert model.seed_sd is None
    assert "seeds are taken as fixed effects instead" in model.warnings[0]
    assert "fixed effects" in model.contrasts[0].difference.method
    assert "fixed effects" in model.method


@pytest.mark.parametrize(
    "rows,reason",
    [
        ([(0.8, "lora", "rte", 1), (0.7, "lora", "rte", 2)], "only one method, 'lora'"),
        ([(0.8, "lora", "rte", 1), (0.7, "full", "rte", 2)], "no seed of a task is shared"),
        ([(0.8, "lora", "rte", 1), (0.7, "full", "rte", 1)], "one seed per task"),
        (
            [(0.8, "lora", "rte", 1), (0.7, "full", "rte", 1), (0.8, "lora", "rte", 2), (0.6, "lora", "sst2", 1)],
            "no run of full on sst2",
        ),
        (
            [(0.8, "lora", "rte", 1), (0.7, "full", "rte", 1), (0.8, "lora", "rte", 2), (0.7, "full", "rte", 2)],
            "by the same on every seed: no spread",
        ),
    ],
)
def test_what_cannot_be_fitted_is_not_estimable(rows, reason):
    model = mixed_model(*(list(column) for column in zip(*rows, strict=True)))
    assert reason in model.reason
    assert model.seed_sd is None
    for contrast in model.contrasts:
        assert contrast.p_value is None
        assert contrast.difference.value is None
        assert contrast.difference.reason == model.reason


def test_too_few_runs_for_a_degree_of_freedom():
    rows = [(0.8, "lora", "rte", 1), (0.71, "full", "rte", 1), (0.83, "lora", "rte", 2)]
    assert "no degree of freedom" in mixed_model(*(list(column) for column in zip(*rows, strict=True))).reason


def test_methods_that_never_meet_are_confounded_without_the_interaction():
    rows = [
        (score, method, task, seed)
        for task, methods in (("rte", ("a", "b")), ("sst2", ("c", "d")))
        for seed in (1, 2, 3)
        for method, score in zip(methods, np.random.default_rng(seed).normal(size=2), strict=True)
    ]
    model = mixed_model(*(list(column) for column in zip(*rows, strict=True)), interaction=False)
    assert model.reason == "methods and tasks are confounded: no task links all methods"


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="equally long, got 1, 2, 1 and 1"):
        mixed_model([0.8], ["a", "b"], ["t"], [1])
    with pytest.raises(ValueError, match="scores must be finite"):
        mixed_model([float("nan")], ["a"], ["t"], [1])
    with pytest.raises(ValueError, match="scores is empty"):
        mixed_model([], [], [], [])
    with pytest.raises(ValueError, match="method 'a', task 't', seed 1 occurs more than once"):
        mixed_model([0.8, 0.8], ["a", "a"], ["t", "t"], [1, 1])
    with pytest.raises(ValueError, match="level must lie"):
        mixed_model([0.8, 0.8], ["a", "b"], ["t", "t"], [1, 1], level=95)
