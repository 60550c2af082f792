"""What two steps say of a method, and which ten examples it is to learn by heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunescope.hub.source import Source
from tunescope.models.counts import ParameterCounts
from tunescope.preflight.data import Sample
from tunescope.preflight.methods import judge_trial, make_trials, with_ten_examples
from tunescope.preflight.trial import Portion, TrialResult
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan
from tunescope.tasks.data import Examples

A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight"
A1 = A.replace("layers.0", "layers.1")
HEAD = "base_model.model.score.modules_to_save.default.weight"
SOUND = TrialResult(
    losses=(0.7, 0.6),
    step_s=0.5,
    trained=(A, B, A1, HEAD),
    head=(HEAD,),
    unmoved=(),
    without_gradient=(),
    num_frozen=21,
    moved_though_frozen=(),
    parameters=ParameterCounts(
        backbone=1000, head=10, adapter=48, trainable=58, total=1058, num_adapter_modules=2, per_module={}
    ),
    train=Portion(num=4, mean_tokens=20.0, longest=32),
    evaluation=Portion(num=4, mean_tokens=20.0, longest=32),
    device_peak_gib=None,
)


def test_a_sound_method_names_what_changed():
    (finding,) = judge_trial("tiny, pairs, lora", "lora", SOUND)
    assert finding.status == "ok"
    assert finding.message.startswith(
        "3 of 3 adapter tensors and 1 of 1 head tensors changed, 0 of 21 frozen ones: "
        "q_proj.lora_A x 2, q_proj.lora_B, score; 58 of 1,058 parameters train (48 adapter, 10 head); loss 0.700 -> 0.600"
    )


@pytest.mark.parametrize(
    "change,complaint",
    [
        (
            {"unmoved": (A,), "without_gradient": (A,)},
            f"1 of 4 tensors that should train did not change in 2 steps ({A}): no gradient reaches them",
        ),
        ({"unmoved": (A,)}, "their gradients are too small for the learning rate to show"),
        ({"moved_though_frozen": ("embed",)}, "1 of 21 frozen tensors changed (embed)"),
    ],
)
def test_what_should_not_be_is_a_fault(change, complaint):
    faults = [one for one in judge_trial("tiny", "lora", replace(SOUND, **change)) if one.status == "fault"]
    assert len(faults) == 1
    assert complaint in faults[0].message


STUDY = """
name: t
base_models: [org/one, org/two]
tasks: [mrpc, rte, squad_v2]
methods:
  full: {learning_rate: 1e-5}
  lora: {learning_rate: {sweep: [2e-4, 1e-3]}}
sweep: {allow_unequal_budgets: true}
seeds: [1, 2]
"""


def _sample(num, labels=2):
    texts = tuple("word " * (1 + row % 7) for row in range(num))
    rows = Examples(ids=tuple(map(str, range(num))), texts={"text": texts}, targets=np.arange(num) % labels)
    return Sample(train=rows, selection=rows, report=rows)


def _trials(samples):
    plan = make_plan(parse_study(STUDY, "t"), {"org/one": True, "org/two": False})
    return list(make_trials(plan, samples, Source(), device="cpu", num_threads=1))


def test_each_model_and_method_is_tried_once_for_each_kind_of_task():
    trials = _trials({"mrpc": _sample(500), "rte": _sample(500), "squad_v2": _sample(500)})
    assert [subject for subject, _ in trials] == [
        f"{model}, {task}, {method}"
        for model in ("one", "two")
        for task in ("mrpc", "squad_v2")
        for method in ("full", "lora")
    ]
    assert [trial.config.training.learning_rate for _, trial in trials[:2]] == [1e-5, 2e-4]


def test_a_task_whose_data_does_not_load_is_stood_in_for():
    trials = _trials({"rte": _sample(500)})
    assert {trial.config.task.name for _, trial in trials} == {"rte"}


def test_the_longest_texts_are_tried():
    (_, trial), *_ = _trials({"mrpc": _sample(500)})
    assert len(trial.train) == 64
    assert {len(text.split()) for text in trial.train.texts["text"]} == {7}


def test_ten_examples_hold_every_label_alike():
    (_, trial), *_ = _trials({"mrpc": _sample(500)})
    lesson = with_ten_examples(trial, _sample(500, labels=5))
    assert np.bincount(lesson.train.numbers).tolist() == [2, 2, 2, 2, 2]
    assert max(len(text.split()) for text in lesson.train.texts["text"]) <= 4, "of the shorter half"
    assert len(with_ten_examples(trial, _sample(7)).train) == 7
