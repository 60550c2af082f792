"""Predicted peaks against the device's memory, and against what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunescope.cost.architecture import KNOWN
from tunescope.cost.devices import DEVICES
from tunescope.preflight.memory import check_fits, judge_measured
from tunescope.study.estimate import estimate
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

TINYLLAMA = "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"
STUDY = f"""
name: t
base_model: {TINYLLAMA}
tasks: [mrpc, sst2]
methods: {{full: {{}}, lora: {{}}}}
seeds: [1]
"""


def _estimated(device, known=KNOWN):
    return estimate(make_plan(parse_study(STUDY, "t"), {TINYLLAMA: True}), known, device)


def _by_subject(findings):
    return {finding.subject.split(", ")[1]: finding for finding in findings}


def test_what_does_not_fit_is_a_fault_and_what_fits_is_not():
    small = replace(DEVICES["L4"], memory_gib=18.0)
    found = _by_subject(check_fits(_estimated(small), small))
    assert found["full"].status == "fault"
    assert "of L4's 18.0 GiB: lower compute.micro_batch_tokens" in found["full"].message
    assert found["lora"].status == "ok"
    assert found["zero_shot"].status == "ok"
    roomy = DEVICES["H200"]
    assert {finding.status for finding in check_fits(_estimated(roomy), roomy)} == {"ok"}


def test_an_unknown_architecture_is_a_note():
    device = DEVICES["L4"]
    found = list(check_fits(_estimated(device, {TINYLLAMA: None}), device))
    assert {finding.status for finding in found} == {"note"}
    assert found[0].message.startswith("no prediction for")


@pytest.mark.parametrize("predicted,status", [(1.0, "ok"), (1.15, "ok"), (0.86, "ok"), (1.16, "note"), (0.8, "note")])
def test_fifteen_percent_are_allowed(predicted, status):
    finding = judge_measured("tiny", predicted, 1.0, where="of RAM")
    assert finding.status == status
    assert f"predicted {predicted:.2f}, measured 1.00 GiB of RAM, ratio {predicted:.2f}" in finding.message


def test_no_prediction_is_a_note_with_the_measurement():
    finding = judge_measured("tiny", None, 1.25, where="of GPU memory")
    assert (finding.status, finding.message) == (
        "note",
        "measured 1.25 GiB of GPU memory; no prediction for this model or method",
    )
