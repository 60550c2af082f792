"""Artifacts become rows: values where there are any, else why not; twins and truncation are said."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tunescope.analysis.collect import ResultRow, as_table, collect, state_of
from tunescope.store import Failure, RecordFields, Store
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

_TEXT = """
name: t
base_model: org/decoder
tasks: [{name: rte, references: [{metric: accuracy, value: 0.7, source: somebody}]}]
methods: {full: {}, lora: {rank: {sweep: [4, 8]}}}
sweep: {allow_unequal_budgets: true}
seeds: [1, 2]
"""


class Made:
    """A plan, and a store to which results are committed without anything being computed."""

    def __init__(self, folder):
        self.plan = make_plan(parse_study(_TEXT, "t"), {"org/decoder": True})
        self.store = Store.open(folder, create=True)
        self.jobs = {job.label: job for job in self.plan.jobs}

    def commit(self, label, metrics=None, **facts):
        job = self.jobs[label]
        work = self.store.begin(job.kind, job.id)
        if metrics is not None:
            (work.out / "metrics.json").write_text(json.dumps(metrics))
        self.store.commit(
            work,
            RecordFields(
                label=label,
                config=job.config.identity(),
                inputs={role: needed.id for role, needed in job.inputs.items()},
                facts=facts,
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

    def train(self, label, weights, **more):
        facts = {
            "weights_sha256": weights,
            "parameters": {"trainable": 10, "total": 100},
            "num_steps": 30,
            "kept_step": 20,
            "train_s": 2.5,
            "truncation": {"train": {"num_examples": 9, "num_truncated": 9, "num_tokens_lost": 9}},
            "flags": [],
        }
        self.commit(label, **(facts | more))

    def evaluate(self, label, accuracy, truncated=0, flags=()):
        truncation = {"num_examples": 8, "num_truncated": truncated, "num_tokens_lost": truncated}
        metrics = {"scores": {"accuracy": accuracy}, "undefined": {}, "num_examples": 8}
        self.commit(label, metrics, evaluate_s=0.5, truncation=truncation, flags=list(flags))

    def rows(self, **wanted):
        found = collect(self.plan, self.store)
        return [row for row in found if all(getattr(row, name) == value for name, value in wanted.items())]


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path / "store")


def test_before_anything_ran_every_cell_is_there_and_missing(made):
    rows = made.rows()
    assert [(row.kind, row.method, row.seed) for row in rows] == [
        ("run", "full", 1),
        ("run", "full", 2),
        ("run", "lora", 1),
        ("run", "lora", 2),
        ("baseline", "majority", None),
        ("baseline", "random", None),
        ("baseline", "reference", None),
        ("baseline", "zero_shot", None),
    ]
    assert all((row.value, row.state, row.flags) == (None, "missing", "") for row in rows)
    assert {row.reason for row in rows if row.method != "reference"} == {"not run yet"}


def test_a_finished_run_leads_from_value_to_job(made):
    made.train("rte-full-seed1", "aa")
    made.evaluate("rte-full-seed1-evaluate", 0.75, truncated=2)
    (row,) = made.rows(method="full", seed=1)
    assert row == ResultRow(
        study="t",
        base_model="org/decoder",
        task="rte",
        kind="run",
        method="full",
        seed=1,
        split="validation",
        metric="accuracy",
        value=0.75,
        num_examples=8,
        state="done",
        reason="",
        flags="",
        trainable_parameters=10,
        total_parameters=100,
        num_steps=30,
        kept_step=20,
        truncated_share=0.25,
        train_s=2.5,
        evaluate_s=0.5,
        peak_memory_gib=0.25,
        train_job=made.jobs["rte-full-seed1"].id,
        job=made.jobs["rte-full-seed1-evaluate"].id,
    )


def test_a_trained_run_that_is_not_evaluated_has_no_value(made):
    made.train("rte-full-seed1", "aa")
    (row,) = made.rows(method="full", seed=1)
    assert (row.value, row.state, row.reason) == (None, "missing", "not run yet")
    assert (row.trainable_parameters, row.truncated_share) == (10, None)  # what was trained on is another split


def test_seeds_that_end_with_identical_weights_are_flagged_and_others_are_not(made):
    for seed, weights in ((1, "same"), (2, "same")):
        made.train(f"rte-full-seed{seed}", weights)
        made.evaluate(f"rte-full-seed{seed}-evaluate", 0.5, flags=["odd"])
    twins = "seeds 1, 2 ended with identical weights: the seed had no effect"
    assert [row.flags for row in made.rows(method="full")] == [f"odd; {twins}"] * 2
    made.store.forget(made.jobs["rte-full-seed2"].id)
    made.train("rte-full-seed2", "another")
    assert [row.flags for row in made.rows(method="full")] == ["odd", "odd"]


def test_a_failure_is_told_where_it_happened_and_above_it(made):
    made.fail("rte-lora-trial1", "the loss is nan")
    failed, above = made.jobs["rte-lora-trial1"], made.jobs["rte-lora-seed1"]
    assert state_of(failed, made.store) == ("failed", "the loss is nan")
    (row,) = made.rows(method="lora", seed=1)
    waits = "waits for rte-lora-trial1, which failed: the loss is nan"
    assert (row.value, row.state, row.reason) == (None, "failed", waits)
    assert state_of(above, made.store) == ("missing", waits)
    made.train("rte-lora-trial1", "aa")
    assert state_of(failed, made.store) == ("done", "")


def test_a_run_whose_training_failed_says_why_and_not_that_it_waits_for_itself(made):
    made.fail("rte-full-seed1", "the loss is nan")
    (row,) = made.rows(method="full", seed=1)
    assert (row.state, row.reason) == ("failed", "the loss is nan")


def test_every_byte_of_what_is_told_is_looked_at_but_not_of_what_keeps_much(made):
    made.train("rte-full-seed1", "aa")
    made.evaluate("rte-full-seed1-evaluate", 0.75)
    evaluate = made.jobs["rte-full-seed1-evaluate"]
    assert state_of(evaluate, made.store) == ("done", "")
    metrics = made.store.path / "artifacts" / "evaluate" / evaluate.id / "metrics.json"
    metrics.write_text(metrics.read_text().replace("0.75", "0.85"))
    state, reason = state_of(evaluate, made.store)
    assert state == "failed"
    assert "metrics.json holds other bytes than were written" in reason
    assert {job.kind for job in made.jobs.values() if job.config.keeps_much} == {"train"}


def test_an_undefined_score_keeps_its_reason_and_no_value(made):
    metrics = {"scores": {}, "undefined": {"accuracy": "why"}, "num_examples": 8}
    made.commit("rte-majority", metrics)
    (row,) = made.rows(method="majority")
    assert (row.value, row.state, row.reason) == (None, "done", "why")


def test_random_has_its_expectation_and_a_row_a_draw(made):
    draws = {"1": {"accuracy": 0.4}, "2": {"accuracy": 0.7}}
    made.commit("rte-random", {"scores": {"accuracy": 0.5}, "undefined": {}, "num_examples": 8, "draws": draws})
    assert [(row.seed, row.value, row.reason) for row in made.rows(method="random")] == [
        (None, 0.5, "expectation"),
        (1, 0.4, "one draw"),
        (2, 0.7, "one draw"),
    ]


def test_a_published_figure_is_a_constant_with_its_source(made):
    made.commit("rte-reference", {"scores": {}, "undefined": {}, "num_examples": 0})
    (row,) = made.rows(method="reference")
    assert (row.value, row.reason, row.split, row.num_examples) == (0.7, "somebody", None, None)


def test_zero_shot_says_its_flags_and_what_was_cut(made):
    metrics = {"scores": {"accuracy": 0.5}, "undefined": {}, "num_examples": 8}
    truncation = {"num_examples": 8, "num_truncated": 4, "num_tokens_lost": 4}
    made.commit("rte-zero_shot", metrics, truncation=truncation, flags=["every one is no"])
    (row,) = made.rows(method="zero_shot")
    assert (row.base_model, row.value, row.truncated_share, row.flags) == ("org/decoder", 0.5, 0.5, "every one is no")


def test_the_table_has_a_typed_column_a_field_even_where_all_is_missing(made):
    table = as_table(collect(made.plan, made.store))
    assert table.column_names == list(ResultRow.__dataclass_fields__)
    assert table.schema.field("value").type == pa.float64()
    assert table.schema.field("seed").type == pa.int64()
    assert table.schema.field("flags").type == pa.string()
    assert as_table([]).schema == table.schema
