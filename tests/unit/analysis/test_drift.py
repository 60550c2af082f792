"""Jobs of drift become rows: numbers where there are any, else why not."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from tunescope.analysis.drift import by_cell, collect_drift, collect_layers, drift_of
from tunescope.drift.kept import STATES_NAME
from tunescope.drift.row import layer_row, rows_as_table
from tunescope.store import Failure, RecordFields, Store
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

TEXT = """
name: t
base_model: org/decoder
tasks: [rte]
methods: {full: {}, lora: {}}
seeds: [1, 2]
drift: {}
retention: {texts: [{name: plain, file: plain.txt}]}
"""


class Made:
    """A plan, and a store to which drift is committed without anything being computed."""

    def __init__(self, folder, text=TEXT):
        self.plan = make_plan(parse_study(text, "t"), {"org/decoder": True}, {"plain.txt": "ab"})
        self.store = Store.open(folder, create=True)
        self.jobs = {job.label: job for job in self.plan.jobs}

    def commit(self, label, drift, rows=(), **facts):
        job = self.jobs[label]
        work = self.store.begin(job.kind, job.id)
        pq.write_table(rows_as_table(list(rows)), work.out / STATES_NAME)
        self.store.commit(
            work,
            RecordFields(
                label=label,
                config=job.config.identity(),
                inputs={role: needed.id for role, needed in job.inputs.items()},
                facts={"drift": drift, "num_examples": 9, "notes": []} | facts,
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

    def run(self, method, seed):
        return next(run for run in self.plan.runs if (run.method, run.seed) == (method, seed))


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path / "store")


def test_every_job_has_a_row_before_any_has_run(made):
    found = collect_drift(made.plan, made.store)
    assert len(found) == 4 + 2 + 1
    assert {one.compared for one in found} == {"tuned", "seeds", "controls"}
    assert all(one.drift is None and one.state == "missing" and one.reason for one in found)
    assert collect_layers(made.plan, made.store) == []


def test_a_jobs_numbers_are_told_by_what_was_compared(made):
    made.commit("rte-lora-seed1-drift", {"tuned": 0.25, "random_update": 0.0})
    made.commit("rte-drift-controls", {"base_again": -1e-9, "untrained lora": 0.0})
    made.commit("rte-lora-seed1-to-seed2-drift", {"seeds": 0.5})
    found = [one for one in collect_drift(made.plan, made.store) if one.state == "done"]
    assert {(one.method, one.seed, one.compared): one.drift for one in found} == {
        ("lora", 1, "tuned"): 0.25,
        ("lora", 1, "random_update"): 0.0,
        (None, None, "base_again"): -1e-9,
        (None, None, "untrained lora"): 0.0,
        ("lora", 1, "seeds"): 0.5,
    }
    assert {one.num_examples for one in found} == {9}
    assert drift_of(made.run("lora", 1), made.plan, made.store) == (0.25, "")
    assert list(by_cell(found)) == [("org/decoder", "rte")]


def test_no_number_has_its_reason(made):
    made.fail("rte-full-seed1-drift", "out of memory")
    made.commit(
        "rte-full-seed2-drift", {"tuned": None, "random_update": None}, notes=["no random update: it adds tokens"]
    )
    found = {(one.seed, one.compared): one for one in collect_drift(made.plan, made.store) if one.method == "full"}
    assert found[1, "tuned"].state == "failed"
    assert "out of memory" in found[1, "tuned"].reason
    assert found[2, "tuned"].reason == "its CKA is not defined in a block; see its layers"
    assert found[2, "random_update"].reason == "no random update: it adds tokens"
    assert drift_of(made.run("full", 2), made.plan, made.store) == (None, found[2, "tuned"].reason)
    value, reason = drift_of(made.run("full", 1), made.plan, made.store)
    assert value is None
    assert "out of memory" in reason


def test_a_study_without_drift_says_so(tmp_path):
    made = Made(tmp_path / "store", TEXT.replace("drift: {}\n", ""))
    assert collect_drift(made.plan, made.store) == []
    assert drift_of(made.run("full", 1), made.plan, made.store) == (None, "the study has no `drift:` section")


def test_layers_carry_the_job_and_the_run_they_are_of(made):
    row = layer_row("tuned", "block_01", "last_token", "cosine", num_examples=9, value=0.5, notes=("why",))
    made.commit("rte-lora-seed2-drift", {"tuned": 0.5}, [row])
    (layer,) = collect_layers(made.plan, made.store)
    assert (layer.method, layer.seed, layer.task, layer.base_model) == ("lora", 2, "rte", "org/decoder")
    assert {name: getattr(layer, name) for name in vars(row)} == vars(row)
    assert layer.job == made.jobs["rte-lora-seed2-drift"].id
