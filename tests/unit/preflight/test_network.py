"""Only heads are new, tokens are stable, padding is without effect; and what is not so is a fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tiny import TINY, tiny_network
from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.preflight.network import (
    GOLDEN_SENTENCE,
    NetworkQuestion,
    fingerprints,
    inspect_network,
    judge_network,
)
from tunescope.tasks.data import Answers, Examples
from tunescope.tasks.spec import Classification, QuestionAnswering

TEXTS = ("the cat sat", "the bird flew under the tree . who sat on the mat ?", "a dog")
PAIRS = Classification.model_validate({"name": "pairs", "dataset": {"hub": "a/b"}, "labels": ["bad", "good"]})
WHERE = QuestionAnswering.model_validate(
    {"name": "where", "dataset": {"hub": "a/b"}, "max_length": 48, "stride": 8, "max_question_tokens": 8}
)
CLASSIFIED = Examples(ids=("0", "1", "2"), texts={"text": TEXTS}, targets=np.array([0, 1, 0]))
ASKED = Examples(ids=("0", "1", "2"), texts={"question": ("who ?",) * 3, "context": TEXTS}, targets=(Answers(),) * 3)


@pytest.fixture(scope="module", params=TINY)
def folder(request, tmp_path_factory):
    """A folder with one tiny model in it."""
    folder = tmp_path_factory.mktemp(request.param)
    TINY[request.param](folder / "model")
    return folder


def _facts(folder, task, examples):
    question = NetworkQuestion(
        base_model=BaseModelSpec(name="./model"), task=task, examples=examples, source=Source(study_folder=folder)
    )
    return inspect_network(question)


@pytest.mark.parametrize("task,examples", [(PAIRS, CLASSIFIED), (WHERE, ASKED)])
def test_a_sound_model_has_a_new_head_and_ignores_padding(folder, task, examples):
    facts = _facts(folder, task, examples)
    assert facts.drawn
    assert set(facts.drawn) <= set(facts.head_names)
    assert facts.golden_ids == facts.golden_ids_again
    assert facts.pad_id == facts.model_pad_id
    assert facts.num_rows == 3
    assert facts.padding_difference < 1e-5
    statuses = [finding.status for finding in judge_network("model", facts)]
    assert statuses == ["ok", "note", "ok"], "the tiny tokenizers know few of the golden sentence's words"


def test_the_golden_ids_are_shown(folder):
    facts = replace(_facts(folder, PAIRS, CLASSIFIED), num_unknown=0)
    told = [
        finding.message
        for finding in judge_network("model", facts)
        if finding.message.startswith(repr(GOLDEN_SENTENCE))
    ]
    assert len(told) == 1
    assert " ".join(map(str, facts.golden_ids)) in told[0]
    assert f"pad token {facts.pad_token!r} ({facts.pad_id})" in told[0]


@pytest.mark.parametrize(
    "change,complaint",
    [
        (
            {"drawn": ("score.weight", "layers.0.q.weight")},
            "1 tensors outside the head are drawn at random (layers.0.q",
        ),
        ({"drawn": ()}, "two seeds gave the same head"),
        ({"model_pad_id": 77}, "the model with 77"),
        ({"golden_ids_again": (5,)}, "two loads of the tokenizer give other ids"),
        ({"unknown_share": 0.8}, "80% of the tokens of 3 real rows are unknown to the tokenizer: is it the"),
        ({"padding_difference": 3e-3, "largest_logit": 5.0}, "differ by at most 3.0e-03 (allowed 5.0e-04)"),
    ],
)
def test_what_is_not_so_is_a_fault(folder, change, complaint):
    facts = replace(_facts(folder, PAIRS, CLASSIFIED), head_names=("score.weight",), drawn=("score.weight",))
    assert not [one for one in judge_network("model", facts) if one.status == "fault"]
    faults = [one.message for one in judge_network("model", replace(facts, **change)) if one.status == "fault"]
    assert len(faults) == 1
    assert complaint in faults[0]


def test_one_changed_bit_changes_one_fingerprint(folder):
    model = tiny_network(folder / "model").model
    before = fingerprints(model)
    name = next(iter(dict(model.named_parameters())))
    model.get_parameter(name).data[0, 0] *= 1.0000002
    after = fingerprints(model)
    assert [key for key in before if before[key] != after[key]] == [name]
