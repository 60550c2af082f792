"""One job per task, whatever the base models and methods; its identity is what rows are read, not how they are told."""

from __future__ import annotations

import pytest

from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

TEXT = """
name: t
base_models: [org/a, org/b]
tasks: [mrpc, rte]
methods: {full: {}, lora: {}}
seeds: [1, 2]
"""


def _plan(*changes):
    return make_plan(parse_study(TEXT, "t", changes), {"org/a": True, "org/b": False})


def test_every_task_has_one():
    plan = _plan()
    assert list(plan.examples) == ["mrpc", "rte"]
    assert [job.label for job in plan.jobs if job.kind == "examples"] == ["mrpc-examples", "rte-examples"]
    assert all(job.inputs == {} for job in plan.examples.values())


@pytest.mark.parametrize(
    "change", ["tasks.0.description=x", "tasks.0.license=x", "tasks.0.references=[]", "tasks.0.metrics=[accuracy]"]
)
def test_what_changes_no_row_changes_no_job(change):
    assert _plan().examples["mrpc"].id == _plan(change).examples["mrpc"].id


@pytest.mark.parametrize("change", ["tasks.mrpc.max_report=9", "tasks.mrpc.max_train=9"])
def test_other_rows_make_another_job(change):
    before, after = _plan().examples, _plan(change).examples
    assert before["mrpc"].id != after["mrpc"].id
    assert before["rte"].id == after["rte"].id
