"""The family of a study, and hypotheses that ask nothing, the impossible, or the same twice."""

from __future__ import annotations

import pytest

from tunescope.errors import StudyError
from tunescope.study.family import family, family_size, measure_on, places
from tunescope.study.load import parse_study

_TEXT = """
name: t
base_models: [org/decoder, org/encoder]
tasks: [rte, mrpc]
methods: {full: {}, lora: {}, head_only: {}}
seeds: [1, 2]
"""


def _study(*compare):
    return parse_study(_TEXT, "t", [f"compare=[{', '.join(compare)}]"] if compare else [])


def _problem(*compare):
    with pytest.raises(StudyError) as caught:
        _study(*compare)
    (problem,) = caught.value.problems
    return problem.removeprefix("t: ")


def test_declared_hypotheses_are_the_family_and_else_every_pair():
    declared = _study("{methods: [lora, full]}", "{measure: f1, methods: [lora, full], base_models: [org/encoder]}")
    assert family(declared) == declared.compare
    assert family_size(declared) == 2 * 2 + 1
    assert [(model, task.name) for model, task in places(declared, declared.compare[1])] == [("org/encoder", "mrpc")]
    assert [measure_on(declared.compare[0], task) for task in declared.tasks] == ["accuracy", "accuracy"]
    open_study = _study()
    assert [one.methods for one in family(open_study)] == [
        ("lora", "full"),
        ("head_only", "full"),
        ("head_only", "lora"),
    ]
    assert family_size(open_study) == 12


@pytest.mark.parametrize(
    "hypothesis, told",
    [
        (
            "{measure: f1, tasks: [rte], methods: [lora, full]}",
            "compare[0].measure: task rte has no score f1 (it has accuracy). Add it to the task's metrics, or take the task out",
        ),
        (
            "{measure: f1, tasks: [mrpc, rte], methods: [lora, full]}",
            "compare[0].measure: task rte has no score f1",
        ),
        (
            "{methods: [lora, full], within: 3}",
            "compare[0].within: 3 is no less than accuracy can differ at all (0 to 1), so it claims nothing. It counts in the "
            "score's own unit: 0.03 is 3 points",
        ),
        (
            "{measure: f1, methods: [lora, full], not_worse_by: 1}",
            "compare[0].not_worse_by: 1 is no less than f1 can differ",
        ),
        (
            "{methods: [lora, full], not_worse_by: 1e-9}",
            "compare[0].not_worse_by: 1e-09 is less than 0.001, so it claims",
        ),
        (
            "{measure: train_s, methods: [lora, full], higher_by: 1e-6}",
            "compare[0].higher_by: 1e-06 is less than 0.001",
        ),
        (
            "{measure: trainable_parameters, methods: [lora, full]}",
            "compare[0].measure: the same for every seed: a count",
        ),
    ],
)
def test_a_hypothesis_that_cannot_be_asked_is_refused(hypothesis, told):
    assert _problem(hypothesis).startswith(told)


@pytest.mark.parametrize(
    "again",
    [
        "{methods: [lora, full]}",
        "{methods: [full, lora], tasks: [mrpc]}",
        "{measure: accuracy, methods: [lora, full], base_models: [org/encoder]}",
    ],
)
def test_a_hypothesis_twice_is_refused(again):
    problem = _problem("{methods: [lora, full]}", again)
    assert problem.startswith("compare[1] asks of ")
    assert "what compare[0] asks, and Holm's correction would charge for both" in problem


def test_what_only_looks_alike_is_two_questions():
    assert family_size(
        _study(
            "{methods: [lora, full], tasks: [rte]}",
            "{methods: [lora, full], tasks: [mrpc]}",
            "{methods: [lora, full], within: 0.03}",
            "{methods: [lora, full], not_worse_by: 0.03}",
            "{methods: [full, lora], not_worse_by: 0.03}",
            "{measure: train_s, methods: [lora, full], within: 3}",
        )
    ) == 2 * (1 + 1 + 2 + 2 + 2 + 2)
