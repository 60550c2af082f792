"""Predictions: examples side by side, text as it came, and how many there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import TEXT, made_findings, plan_of
from tunescope.report.content.predictions import MOST_EXAMPLES, predictions_section


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def test_an_example_has_its_text_and_every_runs_answer(findings):
    example = predictions_section(findings).examples[0]
    assert (example.id, example.task, example.target) == ("validation-7", "mrpc", "yes")
    assert example.texts[0][1].startswith("<script>alert(1)</script>"), "escaped where it is written, not here"
    assert example.answers[0] == ("full seed 1", "yes", True)
    assert example.answers[-1] == ("lora seed 3", "no", False)
    assert example.share_right == {"full": 1.0, "lora": 0.0}


def test_it_says_how_many_are_not_answered_alike(findings):
    section = predictions_section(findings)
    assert section.sentences[0].text == "On mrpc, 1 of 400 examples are not answered alike by all 6 runs."
    assert [cell.value for cell in section.tables[0].rows[0].cells][:4] == ["mrpc", 6, 400, 1]


def test_numbers_are_neither_right_nor_wrong(findings):
    found = tuple(replace(one, score_name="absolute error") for one in findings.disagreements)
    section = predictions_section(replace(findings, disagreements=found))
    assert section.examples[0].share_right == {}
    assert any("none is simply right or wrong" in sentence.text for sentence in section.sentences)


def test_many_examples_are_shared_out_between_tasks(findings):
    one = findings.disagreements[0]
    many = replace(one, examples=one.examples * 500, num_differing=500)
    section = predictions_section(replace(findings, disagreements=(many, many)))
    assert len(section.examples) == MOST_EXAMPLES
    assert "shown: the 400 with the largest gap between methods" in section.sentences[0].text


def test_cut_texts_and_missing_ones_are_told_of(findings):
    one = findings.disagreements[0]
    cut = replace(one, examples=(replace(one.examples[0], is_cut=True),), reason="their texts are not in the store")
    told = [sentence.text for sentence in predictions_section(replace(findings, disagreements=(cut,))).sentences]
    assert "mrpc: their texts are not in the store." in told
    assert any("2,000 characters are cut" in line for line in told)


def test_nothing_to_set_side_by_side(findings):
    assert "finished runs of two methods" in predictions_section(replace(findings, disagreements=())).missing
    alone = made_findings(plan_of(TEXT.replace(", lora: {}", "")))
    assert "one method" in predictions_section(alone).missing
