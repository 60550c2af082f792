"""Drift through a training, followed on a few rows: a curve in the results, and not one weight moved by looking."""

from __future__ import annotations

import json

import pytest

from tunescope.training.metric_log import LOG_NAME, read_log


def _weights(desk) -> dict[str, str]:
    trained = {label: record for label, record in desk.records().items() if record["kind"] == "train"}
    return {label: record["facts"]["weights_sha256"] for label, record in trained.items()}


@pytest.fixture
def one_task(study):
    study["tasks"] = study["tasks"][:1]
    study["training"] |= {"batch_size": 16, "steps": 40}
    study["drift"] = {"every": 0.25, "controls": [], "weights": False, "layer_pairs": False}
    return study


def test_the_curve_is_in_the_results_and_the_weights_are_as_without(desk, one_task):
    plain = desk.write({key: value for key, value in one_task.items() if key != "drift"}, "plain.yaml")
    assert desk.tunescope("run", plain, "--store", desk.store).code == 0
    untouched = _weights(desk)
    watched = desk.write(one_task, "watched.yaml")
    other = desk.folder / "other-store"
    said = desk.tunescope("run", watched, "--store", other)
    assert said.code == 0, said
    desk.store = other
    assert _weights(desk) == untouched

    told = desk.tunescope("results", watched, "--store", other, "--drift", "--format", "json")
    rows = [json.loads(line) for line in told.out.splitlines()]
    curve = [row for row in rows if row["step"] is not None and row["method"] == "full" and row["seed"] == 1]
    assert sorted({row["step"] for row in curve}) == [20, 40], "40 steps are too short for the four readings asked for"
    assert {row["state"] for row in curve} >= {"embeddings", "block_01"}
    last = [row["value"] for row in curve if row["step"] == 40 and row["state"] == "block_01"]
    assert last[0] < 1.0, "the debiased CKA with the base model is below 1 once the weights have moved"

    for record in desk.records().values():
        if record["kind"] == "train":
            said = record["facts"]["drift_watch"]
            assert (said["asked"], said["every"]) == (0.25, 0.5)
            assert said["note"].startswith("every 0.5 instead of 0.25: a reading of ")
            log = read_log(desk.store / "artifacts" / "train" / record["id"] / LOG_NAME)
            assert [entry["note"] for entry in log if entry["event"] == "watched"] == [said["note"]] * 2


def test_following_drift_makes_other_jobs_of_training_and_leaves_baselines(desk, one_task):
    watched = desk.write(one_task, "watched.yaml")
    assert desk.tunescope("run", watched, "--store", desk.store).code == 0
    plain = desk.write({key: value for key, value in one_task.items() if key != "drift"}, "plain.yaml")
    said = desk.tunescope("run", plain, "--store", desk.store)
    assert "8 jobs done, " in said.out, said.out  # four trainings and their evaluations, no baseline


def test_a_training_too_short_to_be_followed_is_not_and_says_so(desk, one_task):
    one_task["training"]["steps"] = 5
    watched = desk.write(one_task, "watched.yaml")
    assert desk.tunescope("run", watched, "--store", desk.store).code == 0
    trained = [record for record in desk.records().values() if record["kind"] == "train"]
    assert trained
    for record in trained:
        told = record["facts"]["drift_watch"]["note"]
        assert told.startswith("drift is not followed through the training: reading 4 examples once at its end")
        assert told in record["facts"]["flags"]
        log = read_log(desk.store / "artifacts" / "train" / record["id"] / LOG_NAME)
        assert not [entry for entry in log if entry["event"] == "watched"]
