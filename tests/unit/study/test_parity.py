"""Methods tuned with more than others are refused without the word; searches that are none are told."""

from __future__ import annotations

import pytest

from tunescope.errors import StudyError
from tunescope.report.notes import study_notes
from tunescope.study.load import parse_study
from tunescope.study.parity import budget_differences, search_warnings, unequal_budgets

_TEXT = """
name: t
base_model: org/decoder
tasks: [mrpc, rte]
methods:
  full: {learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}}
  lora: {learning_rate: {sweep: {log_uniform: [1e-4, 1e-2]}}}
seeds: [1, 2]
sweep: {num_trials: 6}
"""


def _study(*changes):
    return parse_study(_TEXT, "t", changes)


@pytest.mark.parametrize(
    "changes, told",
    [
        (["methods.full.early_stopping_patience=1"], "differ in early_stopping_patience: full 1, lora none"),
        (["methods.full.evaluate_every=5"], "differ in evaluate_every: full 5, lora epoch"),
        (["methods.full.keep=last"], "differ in keep: full last, lora best"),
        (["methods.lora.precision=bf16"], "differ in precision: full fp32, lora bf16"),
        (["methods.lora.epochs=9"], "read different numbers of examples: full 3 epochs, lora 9 epochs"),
        (
            ["methods.lora.early_stopping_patience={sweep: [1, 9]}"],
            "early_stopping_patience is swept for lora and not for full",
        ),
        (
            [
                f"methods.{name}.{field}"
                for name, decays in (("full", "[0.0, 0.1]"), ("lora", "[0.0, 0.1, 0.2]"))
                for field in (
                    f"weight_decay={{sweep: {decays}}}",
                    "epochs={sweep: {categorical: [1, 9], when: {weight_decay: [0.0]}}}",
                )
            ],
            "full, lora search epochs in different spaces",
        ),
    ],
)
def test_what_gives_a_method_more_is_refused_without_the_word(changes, told):
    with pytest.raises(StudyError) as caught:
        _study(*changes)
    assert any(told in problem and "allow_unequal_budgets" in problem for problem in caught.value.problems)
    allowed = _study(*changes, "sweep.allow_unequal_budgets=true")
    assert told in unequal_budgets(allowed)
    assert any(told in note for note in study_notes(allowed))


def test_a_difference_on_several_tasks_is_one_sentence():
    (told,) = budget_differences(_study("methods.full.keep=last", "sweep.allow_unequal_budgets=true"))
    assert told == "trials on mrpc, rte differ in keep: full last, lora best"


def test_equal_budgets_are_no_caveat():
    assert unequal_budgets(_study()) == ""
    assert budget_differences(_study()) == search_warnings(_study()) == study_notes(_study()) == []
    assert "here they are equal" in unequal_budgets(_study("sweep.allow_unequal_budgets=true"))


@pytest.mark.parametrize(
    "change, told",
    [
        (
            "methods.full={adam_epsilon: {sweep: {log_uniform: [1e-9, 1e-7]}}}",
            "learning_rate is searched for lora and fixed for full: what they differ by may be the rate",
        ),
        (
            "methods.full.learning_rate={sweep: {log_uniform: [1e-5, 1.0000001e-5]}}",
            "sweep of full: learning_rate from 1e-05 to 1.0000001e-05 is next to no range",
        ),
        (
            "methods.full.learning_rate={sweep: {uniform: [0.001, 0.00101]}}",
            "sweep of full: learning_rate from 0.001 to 0.00101 is next to no range",
        ),
        (
            "methods.full.learning_rate={sweep: [1e-5, 1e-4]}",
            "sweep of full: 2 distinct settings for 6 trials; the rest repeat them",
        ),
        (
            "methods.lora_b={type: lora, learning_rate: {sweep: {log_uniform: [1e-3, 1e-1]}}}",
            "lora and lora_b differ in their search alone: that method gets the trials of 2",
        ),
    ],
)
def test_a_search_that_is_none_is_allowed_and_told(change, told):
    study = _study(change)
    assert any(warning.startswith(told) for warning in search_warnings(study)), search_warnings(study)
    assert any(note.startswith(told) for note in study_notes(study))


def test_variants_of_a_method_that_differ_in_a_fixed_field_are_methods_of_their_own():
    rate = "learning_rate: {sweep: {log_uniform: [1e-3, 1e-1]}}"
    assert search_warnings(_study(f"methods.lora_b={{type: lora, rank: 64, {rate}}}")) == []
