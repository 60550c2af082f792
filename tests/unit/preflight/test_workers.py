"""How long each worker would take, in words."""

from __future__ import annotations

import pytest

from tunescope.cost.architecture import KNOWN
from tunescope.cost.devices import DEVICES
from tunescope.errors import StudyError
from tunescope.preflight.workers import check_workers, in_words
from tunescope.study.estimate import estimate
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

TINYLLAMA = "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"
STUDY = f"{{name: t, base_model: {TINYLLAMA}, tasks: [mrpc, rte], methods: {{full: {{}}}}, seeds: [1, 2]}}"
L4 = DEVICES["L4"]


def _plan(known=KNOWN, *changes):
    return estimate(make_plan(parse_study(STUDY, "t", changes), {TINYLLAMA: True}), known, L4)


def test_every_worker_and_the_last_are_told():
    found = list(check_workers(_plan(), 2, L4))
    assert [finding.subject for finding in found] == ["worker 1", "worker 2", "all"]
    assert {finding.status for finding in found} == {"ok"}
    assert all("min on L4" in finding.message for finding in found[:2])
    assert sum(int(finding.message.split()[0]) for finding in found[:2]) == len(_plan().jobs)


def test_unknown_times_are_notes():
    found = list(check_workers(_plan({TINYLLAMA: None}), 1, L4))
    assert [finding.status for finding in found] == ["note", "note"]
    assert "time not known on L4" in found[0].message


def test_a_pin_to_a_worker_that_is_not_there_raises():
    with pytest.raises(StudyError, match="use --workers 3"):
        list(check_workers(_plan(KNOWN, "placement=[{worker: 3, tasks: [rte]}]"), 2, L4))


@pytest.mark.parametrize(
    "seconds,words",
    [
        (None, "time not known"),
        (7.4, "about 7 s"),
        (150.0, "about 2 min"),
        (5340.0, "about 89 min"),
        (9000.0, "about 2.5 h"),
    ],
)
def test_times_are_said_as_people_do(seconds, words):
    assert in_words(seconds) == words
