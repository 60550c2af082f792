"""Jobs of probes become rows: accuracies where there are any, else why not."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from tunescope.analysis.collect import as_table
from tunescope.analysis.probes import Probed, collect_probes
from tunescope.store import Failure, RecordFields, Store
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

TEXT = """
name: t
base_model: org/decoder
tasks: [mrpc, rte]
methods: {full: {}, lora: {}}
seeds: [1, 2]
retention: {probes: true}
"""
FACTS = {"majority_accuracy": 0.5, "num_train": 100, "num_examples": 8, "state": "final_norm"}


class Made:
    """A plan, and a store to which probes are committed without anything being computed."""

    def __init__(self, folder):
        self.plan = make_plan(parse_study(TEXT, "t"), {"org/decoder": True})
        self.store = Store.open(folder, create=True)
        self.jobs = {job.label: job for job in self.plan.jobs}

    def commit(self, label, accuracy):
        job = self.jobs[label]
        work = self.store.begin(job.kind, job.id)
        self.store.commit(
            work,
            RecordFields(
                label=label,
                config=job.config.identity(),
                inputs={role: needed.id for role, needed in job.inputs.items()},
                facts={"accuracy": accuracy} | FACTS,
                started_at=datetime.now(UTC),
                duration_s=1.0,
                peak_memory_gib=0.25,
                peak_memory_covers="job",
            ),
        )

    def fail(self, label, reason):
        job = self.jobs[label]
        failure = Failure(label=label, reason=reason, error="E", traceback="", log="x", failed_at=datetime.now(UTC))
        self.store.begin(job.kind, job.id)
        self.store.fail(job.kind, job.id, failure)

    def rows(self):
        return {(row.probe_task, row.method, row.seed): row for row in collect_probes(self.plan, self.store)}


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path / "store")


def test_every_probe_of_a_run_has_a_row_before_any_has_run(made):
    rows = made.rows()
    assert len(rows) == 8
    assert {(row.trained_on, row.probe_task) for row in rows.values()} == {("mrpc", "rte"), ("rte", "mrpc")}
    assert all(row.accuracy is None and row.base_accuracy is None for row in rows.values())
    assert {row.state for row in rows.values()} == {"missing"}
    assert {row.reason for row in rows.values()} == {"not run yet"}


def test_a_run_stands_beside_its_base_model(made):
    made.commit("rte-base-probe", 0.625)
    made.commit("mrpc-lora-seed1-probe-rte", 0.75)
    row = made.rows()["rte", "lora", 1]
    assert (row.study, row.base_model, row.trained_on) == ("t", "org/decoder", "mrpc")
    assert (row.majority_accuracy, row.base_accuracy, row.accuracy) == (0.5, 0.625, 0.75)
    assert (row.num_train, row.num_examples, row.layer) == (100, 8, "final_norm")
    assert (row.state, row.reason) == ("done", "")
    assert row.job == made.jobs["mrpc-lora-seed1-probe-rte"].id
    assert row.base_job == made.jobs["rte-base-probe"].id
    table = as_table(list(made.rows().values()), Probed)
    assert table.column_names == [field.name for field in fields(Probed)]
    assert table["accuracy"].to_pylist().count(0.75) == 1
    other = made.rows()["rte", "lora", 2]
    assert (other.base_accuracy, other.accuracy, other.state) == (0.625, None, "missing")


def test_no_number_has_its_reason(made):
    made.fail("rte-base-probe", "label 1 has one")
    made.commit("mrpc-lora-seed1-probe-rte", 0.75)
    made.fail("mrpc-lora-seed2-probe-rte", "out of memory")
    made.fail("mrpc-full-seed1", "loss is not finite")
    rows = made.rows()
    half = rows["rte", "lora", 1]
    assert (half.state, half.accuracy, half.base_accuracy) == ("done", 0.75, None)
    assert half.reason == "no probe of the base model: label 1 has one"
    failed, blocked = rows["rte", "lora", 2], rows["rte", "full", 1]
    assert (failed.state, failed.accuracy, failed.reason) == ("failed", None, "out of memory")
    assert (blocked.state, blocked.accuracy) == ("missing", None)
    assert blocked.reason == "waits for mrpc-full-seed1, which failed: loss is not finite"


def test_a_study_that_asks_for_no_probes_has_no_rows(tmp_path):
    plan = make_plan(parse_study(TEXT.replace("retention: {probes: true}", ""), "t"), {"org/decoder": True})
    assert collect_probes(plan, Store.open(tmp_path / "store", create=True)) == []
