"""What is told of a run, from its record, its failure or its log so far."""

from __future__ import annotations

import json
import os

import pytest

from tunescope.trackers.subjects import subjects_of
from tunescope.trackers.told import flat, points_of, told_run


def _told(study, label, tags=()):
    subject = next(one for one in subjects_of(study.plan) if one.label == label)
    return told_run(subject, study.store, "t", tags)


def test_a_finished_run_says_everything(study, log_entries, losses):
    run = _told(study, "rte-full-seed1", ("mine",))
    assert (run.id, run.kind, run.name, run.status) == (study.id("rte-full-seed1"), "train", "rte-full-seed1", "done")
    assert run.tags == ("train", "task:rte", "method:full", "base_model:org/decoder", "mine")
    assert {point.step: point.values["loss"] for point in run.points} == losses(log_entries(12))
    assert [point.step for point in run.points if "selection/accuracy" in point.values] == [4, 8, 12]
    assert run.points[3].at_s == 1.0
    assert run.config["task.name"] == "rte"
    assert run.config["run.seed"] == 1
    assert run.config["in_force.optimiser"] == "AdamW"
    assert run.config["model_fingerprint"] == "model bytes"
    expected = {"scores/accuracy": 0.75, "selection/accuracy": 0.75, "train_s": 2.0, "num_tokens": 1000}
    assert expected.items() <= run.summary.items()
    assert run.summary["parameters/trainable"] == 10
    assert run.files == ("log.jsonl",)


def test_a_baseline_has_scores_and_no_points(study):
    run = _told(study, "rte-majority")
    assert run.points == ()
    assert run.summary["scores/accuracy"] == 0.5
    assert run.config["run.baseline"] == "majority"


def test_a_run_that_has_not_begun_is_not_told(study):
    assert _told(study, "rte-lora-seed2") is None


def test_of_a_run_under_way_the_last_step_waits(study, log_entries):
    study.under_way("rte-lora-seed1", log_entries(5))
    run = _told(study, "rte-lora-seed1")
    assert (run.status, run.is_over) == ("unfinished", False)
    assert [point.step for point in run.points] == [1, 2, 3, 4]


def test_steps_since_a_checkpoint_are_told_once_as_they_ended(study, log_entries):
    study.under_way("rte-lora-seed1", log_entries(6))
    study.under_way("rte-lora-seed1", [{"event": "resumed", "step": 4}, *log_entries(4, first=5, seed=3)])
    run = _told(study, "rte-lora-seed1")
    assert [point.step for point in run.points] == [1, 2, 3, 4, 5, 6, 7]
    assert run.points[4].values["loss"] == 3 / 15


def test_a_failed_run_says_why_and_how_far_it_came(study, log_entries):
    study.under_way("rte-lora-seed1", log_entries(5))
    study.fail("rte-lora-seed1", "loss is not finite", 7.0)
    run = _told(study, "rte-lora-seed1")
    assert run.status == "failed"
    assert len(run.points) == 5
    assert run.summary["failure/reason"] == "loss is not finite"
    assert run.duration_s == 7.0


def test_lower_is_better_scores_keep_their_direction():
    entries = [{"event": "selection", "step": 1, "score": -2.5, "metric": "mean_squared_error"}]
    assert next(points_of(entries, higher_is_better=False)).values == {"selection/mean_squared_error": 2.5}


def test_what_is_undefined_is_left_out():
    entries = [
        {"event": "selection", "step": 1, "score": None, "metric": "f1"},
        {"event": "watched", "step": 2, "cka": {"block_1": 0.75, "block_2": None}},
        {"event": "resumed", "step": 3},
    ]
    points = list(points_of(entries, higher_is_better=True))
    assert [(point.step, dict(point.values)) for point in points] == [(2, {"watched_drift/block_1": 0.25})]


def test_no_environment_and_no_host_is_told(study, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-key")
    run = _told(study, "rte-full-seed1")
    said = json.dumps([dict(run.config), dict(run.summary), run.tags])
    record = study.store.record("train", run.id)
    assert "s3cr3t-key" not in said
    assert f'"{record.machine.hostname}"' not in said
    assert os.environ["HOME"] not in said
    assert str(study.store.path) not in said


@pytest.mark.parametrize(
    "value,leaves",
    [
        ({"a": {"b": 1, "c": None}}, {"a.b": 1}),
        ({"a": [1, "x"]}, {"a": '[1, "x"]'}),
        ({"a": {}}, {}),
        ({"a": False}, {"a": False}),
    ],
)
def test_nested_values_are_told_by_dotted_names(value, leaves):
    assert dict(flat(value)) == leaves


def test_the_digest_is_of_all_that_is_told(study):
    before = _told(study, "rte-full-seed2").digest()
    assert _told(study, "rte-full-seed2").digest() == before
    study.scored("rte-full-seed2-evaluate", 1.0)
    assert _told(study, "rte-full-seed2").digest() != before
