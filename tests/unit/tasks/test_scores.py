"""Every score against a hand calculation, its laws, and what it refuses."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.tasks import scores, squad
from tunescope.tasks.scores import SCORES

CLASSIFICATION = sorted(name for name, score in SCORES.items() if "classification" in score.kinds)
REGRESSION = sorted(name for name, score in SCORES.items() if "regression" in score.kinds)
QUESTION_ANSWERING = sorted(name for name, score in SCORES.items() if "question_answering" in score.kinds)

# TP 2, FN 1, FP 1, TN 2
TARGETS = np.array([1, 1, 1, 0, 0, 0])
PREDICTIONS = np.array([1, 1, 0, 1, 0, 0])

binary = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=40)
many_classes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)
numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
number_pairs = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=30)


def columns(pairs: list[tuple[Any, Any]]) -> tuple[np.ndarray, np.ndarray]:
    targets, predictions = np.array(pairs).T
    return targets, predictions


def test_the_registry_names_its_functions_and_knows_three_kinds() -> None:
    assert [(name, score.name, score.function.__name__) for name, score in SCORES.items()] == [
        (name, name, name) for name in SCORES
    ]
    assert {*CLASSIFICATION} == {"accuracy", "f1", "macro_f1", "matthews"}
    assert {*REGRESSION} == {"mse", "rmse", "pearson", "spearman"}
    assert len(QUESTION_ANSWERING) == 5
    assert all(name.startswith("squad_") for name in QUESTION_ANSWERING)
    assert {name for name, score in SCORES.items() if not score.higher_is_better} == {"mse", "rmse"}


def test_importing_the_scores_imports_no_heavy_library() -> None:
    heavy = {"torch", "transformers", "peft", "datasets", "sklearn", "scipy"}
    code = f"import sys, tunescope.tasks.scores; print(sorted({heavy!r} & set(sys.modules)))"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"


@pytest.mark.parametrize(
    "name,expected",
    [
        pytest.param("accuracy", 4 / 6, id="accuracy"),
        pytest.param("f1", 2 * 2 / (2 * 2 + 1 + 1), id="f1"),
        pytest.param("macro_f1", (4 / 6 + 4 / 6) / 2, id="macro_f1"),
        pytest.param("matthews", (2 * 2 - 1 * 1) / math.sqrt(3 * 3 * 3 * 3), id="matthews"),
    ],
)
def test_classification_by_hand(name: str, expected: float) -> None:
    assert SCORES[name].function(TARGETS, PREDICTIONS) == pytest.approx(expected, abs=1e-12)


def test_macro_f1_weighs_a_rare_class_like_a_common_one() -> None:
    targets, predictions = np.array([0] * 8 + [2]), np.zeros(9, dtype=np.int64)

    assert scores.macro_f1(targets, predictions) == pytest.approx((16 / 17 + 0.0) / 2, abs=1e-12)


@pytest.mark.parametrize(
    "name,predictions,expected",
    [
        pytest.param("mse", [1.0, 1.0, 5.0, 5.0], (0 + 1 + 4 + 1) / 4, id="mse"),
        pytest.param("rmse", [1.0, 1.0, 5.0, 5.0], math.sqrt(6 / 4), id="rmse"),
        # Centred, y is -1.5 -.5 .5 1.5 and p is -1.5 -.5 1.5 .5: products sum to 4, squares to 5 and 5.
        pytest.param("pearson", [0.0, 1.0, 3.0, 2.0], 4 / 5, id="pearson"),
        # Ranks 1.5 1.5 3 4, centred -1 -1 .5 1.5: products sum to 4.5, squares to 5 and 4.5.
        pytest.param("spearman", [-7.0, -7.0, 0.1, 900.0], 4.5 / math.sqrt(5 * 4.5), id="spearman-tied"),
    ],
)
def test_regression_by_hand(name: str, predictions: list[float], expected: float) -> None:
    targets = np.array([1.0, 2.0, 3.0, 4.0])

    assert SCORES[name].function(targets, np.array(predictions)) == pytest.approx(expected, abs=1e-12)


def test_question_answering_by_hand() -> None:
    gold = {"a": ["the Norman Conquest"], "b": ["1066", "in 1066"], "c": [], "d": []}
    predictions = {"a": "Conquest", "b": "in 1066", "c": "", "d": "Rollo"}
    expected = {
        "squad_exact": 2 / 4,
        "squad_f1": (2 / 3 + 1 + 1 + 0) / 4,
        "squad_has_answer_exact": 1 / 2,
        "squad_has_answer_f1": (2 / 3 + 1) / 2,
        "squad_no_answer_accuracy": 1 / 2,
    }

    assert {name: SCORES[name].function(gold, predictions) for name in QUESTION_ANSWERING} == pytest.approx(expected)
    assert scores.squad_figures(squad.score_squad(gold, predictions)) == pytest.approx(expected)


def test_a_part_without_questions_has_no_figure() -> None:
    only_answerable = squad.score_squad({"a": ["x"]}, {"a": "x"})

    assert scores.squad_figures(only_answerable) == {
        "squad_exact": 1.0,
        "squad_f1": 1.0,
        "squad_has_answer_exact": 1.0,
        "squad_has_answer_f1": 1.0,
    }
    with pytest.raises(ValueError, match=r"^squad_no_answer_accuracy: undefined, as no question is without an answer$"):
        scores.squad_no_answer_accuracy({"a": ["x"]}, {"a": "x"})
    with pytest.raises(ValueError, match=r"^squad_has_answer_f1: undefined, as no question has an answer$"):
        scores.squad_has_answer_f1({"a": []}, {"a": "x"})
    with pytest.raises(ValueError, match=r"^squad_has_answer_exact: undefined"):
        scores.squad_has_answer_exact({"a": []}, {"a": "x"})


@given(pairs=many_classes)
@settings(max_examples=40, deadline=None)
def test_label_scores_stay_in_range_and_are_perfect_for_the_truth(pairs: list[tuple[int, int]]) -> None:
    targets, predictions = columns(pairs)
    for name in ("accuracy", "macro_f1"):
        low, high = SCORES[name].range
        assert low <= SCORES[name].function(targets, predictions) <= high
        assert SCORES[name].function(targets, targets) == high


@given(pairs=binary)
@settings(max_examples=40, deadline=None)
def test_f1_does_not_care_which_side_is_the_truth(pairs: list[tuple[int, int]]) -> None:
    targets, predictions = columns([(1, 1), *pairs])

    assert 0.0 <= scores.f1(targets, predictions) <= 1.0
    assert scores.f1(targets, predictions) == pytest.approx(scores.f1(predictions, targets), abs=1e-12)


@given(pairs=binary)
@settings(max_examples=40, deadline=None)
def test_matthews_changes_sign_when_the_predictions_are_flipped(pairs: list[tuple[int, int]]) -> None:
    targets, predictions = columns([(0, 0), (1, 1), *pairs])

    assert -1.0 <= scores.matthews(targets, predictions) <= 1.0
    assert scores.matthews(targets, 1 - predictions) == pytest.approx(-scores.matthews(targets, predictions), abs=1e-12)
    assert scores.matthews(targets, targets) == pytest.approx(1.0, abs=1e-12)


@given(pairs=number_pairs, scale=st.floats(0.01, 100.0))
@settings(max_examples=40, deadline=None)
def test_correlations_keep_their_range_and_ignore_scale_and_shift(
    pairs: list[tuple[float, float]], scale: float
) -> None:
    # Two rows that differ far more than rounding keep either side from being constant.
    targets, predictions = columns([(0.0, 0.0), (1e6, 1e6), *pairs])
    for name in ("pearson", "spearman"):
        value = SCORES[name].function(targets, predictions)
        assert -1.0 <= value <= 1.0
        assert SCORES[name].function(targets, scale * predictions) == pytest.approx(value, abs=1e-9)
        assert SCORES[name].function(targets, -predictions) == pytest.approx(-value, abs=1e-9)
        assert SCORES[name].function(predictions, targets) == pytest.approx(value, abs=1e-9)
    assert scores.pearson(targets, predictions + 100.0) == pytest.approx(scores.pearson(targets, predictions), abs=1e-9)


@given(pairs=number_pairs)
@settings(max_examples=40, deadline=None)
def test_errors_are_never_negative_and_0_for_the_truth(pairs: list[tuple[float, float]]) -> None:
    targets, predictions = columns(pairs)

    assert scores.mse(targets, targets) == 0.0
    assert scores.mse(targets, predictions) >= 0.0
    assert scores.rmse(targets, predictions) == pytest.approx(math.sqrt(scores.mse(targets, predictions)))


def test_spearman_sees_only_the_order() -> None:
    values = np.array([0.1, 0.2, 0.5, 3.0])

    assert scores.spearman(values, np.exp(values)) == pytest.approx(1.0, abs=1e-12)
    assert scores.spearman(values, -(values**3)) == pytest.approx(-1.0, abs=1e-12)


def test_matthews_of_constant_predictions_is_0_and_of_constant_targets_undefined() -> None:
    assert scores.matthews(TARGETS, np.ones(6, dtype=np.int64)) == 0.0
    with pytest.raises(ValueError, match=r"^matthews: undefined, as all 6 targets are the same label, 1$"):
        scores.matthews(np.ones(6, dtype=np.int64), PREDICTIONS)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_correlation_with_a_constant_is_refused(name: str) -> None:
    values, constant = np.array([1.0, 2.0, 3.0]), np.full(3, 2.5)

    with pytest.raises(ValueError, match=f"^{name}: undefined, as all 3 predictions are equal, 2.5$"):
        SCORES[name].function(values, constant)
    with pytest.raises(ValueError, match=f"^{name}: undefined, as all 3 targets are equal, 2.5$"):
        SCORES[name].function(constant, values)
    with pytest.raises(ValueError, match=f"^{name}: undefined, as all 1 targets are equal, 1.0$"):
        SCORES[name].function(values[:1], values[:1])


def test_pearson_refuses_what_varies_by_rounding_only_and_takes_huge_and_tiny_values() -> None:
    values = np.array([1.0, 2.0, 3.0])
    rounding = np.array([1.0, 1.0, np.nextafter(1.0, 2.0)])

    with pytest.raises(ValueError, match=r"^pearson: undefined, as targets or predictions vary by rounding only$"):
        scores.pearson(values, rounding)
    assert scores.pearson(values * 1e300, values * 1e-300) == pytest.approx(1.0, abs=1e-12)


def test_mse_refuses_to_overflow() -> None:
    with pytest.raises(ValueError, match=r"^mse: undefined in float64 for these values, got inf$"):
        scores.mse(np.array([1e200]), np.array([-1e200]))


@pytest.mark.parametrize("name", CLASSIFICATION + REGRESSION)
def test_every_score_refuses_unequal_lengths_matrices_and_nothing(name: str) -> None:
    function = SCORES[name].function

    with pytest.raises(ValueError, match=rf"^{name}: .* got \(6,\) and \(5,\)$"):
        function(TARGETS, PREDICTIONS[:5])
    with pytest.raises(ValueError, match=rf"^{name}: .* got \(2, 3\) and \(2, 3\)$"):
        function(TARGETS.reshape(2, 3), PREDICTIONS.reshape(2, 3))
    with pytest.raises(ValueError, match=f"^{name}: at least one example is needed, got none$"):
        function(TARGETS[:0], PREDICTIONS[:0])


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_label_scores_refuse_what_is_no_label_id(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: predictions must be integer label ids, got float64$"):
        SCORES[name].function(TARGETS, PREDICTIONS / 2)
    with pytest.raises(ValueError, match=rf"^{name}: targets must be label ids of 0 or above, got -1"):
        SCORES[name].function(TARGETS - 1, PREDICTIONS)


@pytest.mark.parametrize("name", REGRESSION)
def test_number_scores_refuse_nan_and_infinity(name: str) -> None:
    values = np.array([1.0, 2.0, 3.0])

    with pytest.raises(ValueError, match=f"^{name}: predictions must be finite, got nan$"):
        SCORES[name].function(values, np.array([1.0, np.nan, 2.0]))
    with pytest.raises(ValueError, match=f"^{name}: targets must be finite, got -inf$"):
        SCORES[name].function(np.array([1.0, -np.inf, 2.0]), values)


def test_f1_refuses_a_third_class_and_no_positive_at_all() -> None:
    with pytest.raises(ValueError, match=r"^f1: labels must be 0 or 1 .* got 2; macro_f1 takes more classes$"):
        scores.f1(TARGETS, PREDICTIONS + 1)
    with pytest.raises(ValueError, match=r"^f1: undefined \(0/0\)"):
        scores.f1(np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64))
    assert scores.f1(TARGETS, np.zeros(6, dtype=np.int64)) == 0.0
