"""What a user sees of `tunescope run`: what runs, what does not run again, and how it goes on after a fault or Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections import Counter

import pytest

from tiny import tiny_bert, tiny_llama
from tunescope.errors import RunError
from tunescope.steps import STEPS
from tunescope.training import loop

_TIMES = {"train_s", "evaluate_s", "peak_memory_gib"}


def _results(rows):
    """The rows without what differs from run to run."""
    return [{key: value for key, value in row.items() if key not in _TIMES} for row in rows]


def _one_cell(study, **more):
    """The study cut down to one task, one method and one seed."""
    return study | {"tasks": study["tasks"][:1], "methods": {"full": {}}, "seeds": [1], "baselines": []} | more


def _failing(monkeypatch, kind, is_hit):
    """Lets the step of a kind fail where `is_hit(config)`."""
    real = STEPS[kind]

    def step(config, inputs, out, scratch, context):
        if is_hit(config):
            raise RunError("the loss is nan at step 2 of 3. Lower learning_rate")
        return real(config, inputs, out, scratch, context)

    monkeypatch.setitem(STEPS, kind, step)


def test_a_first_run_makes_every_artifact_without_a_network_and_a_second_starts_no_job(desk, start, monkeypatch):
    def refuse(*_):
        raise AssertionError("nothing needs a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    first = desk.run()
    assert first.code == 0, first.err
    assert "24 jobs: 0 there already, 24 to do" in first.out
    assert "24 jobs done, 0 were there, 0 failed, 0 blocked" in first.out
    made = desk.artifacts()
    assert Counter(name.split("/")[0] for name in made) == {"baseline": 6, "evaluate": 8, "examples": 2, "train": 8}
    assert not list(desk.store.glob("work/[!.]*"))

    second = desk.run()
    assert second.code == 0
    assert "24 jobs: 24 there already, 0 to do" in second.out
    assert desk.artifacts() == made
    table = [line for line in first.out.splitlines() if "accuracy" in line or "squad" in line]
    assert [line for line in second.out.splitlines() if "accuracy" in line or "squad" in line] == table

    third = start("run", desk.path, "--store", desk.store, python=("-X", "importtime"))
    said, loaded = third.communicate(timeout=100)
    assert third.returncode == 0
    assert "0 to do" in said
    modules = {line.rsplit("|", 1)[-1].strip() for line in loaded.splitlines()}
    assert "tunescope.api" in modules
    assert not modules & {"torch", "transformers", "peft", "datasets", "sklearn"}


def test_a_changed_setting_reruns_exactly_the_jobs_below_it(finished):
    before = finished.artifacts()
    said = finished.run("--set", "methods.lora.rank=2")
    assert said.code == 0
    assert "8 jobs done, 16 were there" in said.out
    new = finished.artifacts().keys() - before.keys()
    cells = {f"{task}-lora-seed{seed}" for task in ("same", "where") for seed in (1, 2)}
    assert finished.labels_of(new) == cells | {f"{cell}-evaluate" for cell in cells}
    assert before.items() <= finished.artifacts().items()


@pytest.mark.parametrize(
    "split,baselines,trains",
    [("train", {"same-majority"}, True), ("dev", {"same-majority", "same-random", "same-zero_shot"}, False)],
)
def test_a_changed_data_file_reruns_exactly_the_jobs_that_read_it(finished, split, baselines, trains):
    before, old = finished.artifacts(), finished.records()
    rows = finished.pairs(split)
    rows[0] |= {"second": "a bird ran", "label": "no"}
    finished.write_pairs(split, rows)
    assert finished.run().code == 0
    cells = {f"same-{method}-seed{seed}" for method in ("full", "lora") for seed in (1, 2)}
    new = finished.artifacts().keys() - before.keys()
    expected = baselines | {"same-examples"} | {f"{cell}-evaluate" for cell in cells} | (cells if trains else set())
    assert finished.labels_of(new) == expected
    # ... and this process has read the new rows, not those it read before.
    fact, label = ("data_fingerprint", "same-full-seed1") if trains else ("data_fingerprint", "same-random")
    (made,) = [json.loads((finished.store / "artifacts" / name / "record.json").read_text()) for name in new
               if finished.labels_of([name]) == {label}]  # fmt: skip
    assert made["facts"][fact] != old[label]["facts"][fact]


def test_other_weights_under_the_same_name_are_refused(finished):
    made = finished.artifacts()
    tiny_llama(finished.folder / "model", num_hidden_layers=1, seed=1)
    said = finished.run()
    assert said.code == 2
    assert said.err.startswith("tunescope: base model ./model is not what 9 finished jobs of ")
    assert "Put back what was there, pin `revision`, or use another --store." in said.err
    assert finished.artifacts() == made


def test_a_zero_shot_baseline_is_not_reused_for_other_weights_either(desk, study, monkeypatch):
    _failing(monkeypatch, "train", lambda config: True)
    desk.write(_one_cell(study, baselines=["majority", "zero_shot"]))
    assert desk.run().code == 1
    tiny_llama(desk.folder / "model", num_hidden_layers=1, seed=1)
    said = desk.run()
    assert said.code == 2
    assert said.err.startswith("tunescope: base model ./model is not what 1 finished jobs of ")


def test_a_failed_job_leaves_its_reason_the_others_go_on_and_a_mended_run_completes(desk, study, monkeypatch):
    desk.write(study | {"tasks": study["tasks"][:1]})
    with monkeypatch.context() as broken:
        _failing(broken, "train", lambda config: config.method_kind == "lora" and config.seed == 2)
        said = desk.run()
    assert said.code == 1
    assert "same-lora-seed2  FAILED after" in said.out
    assert "same-lora-seed2-evaluate  not run: it needs same-lora-seed2, which failed" in said.out
    assert "11 jobs done, 0 were there, 1 failed, 1 blocked" in said.out
    told = desk.status()
    assert told.code == 1
    assert "failed: same-lora-seed2 (train/" in told.out
    assert "the loss is nan at step 2 of 3. Lower learning_rate" in told.out
    (row,) = [row for row in desk.rows() if (row["task"], row["method"], row["seed"], row["metric"])
              == ("same", "lora", 2, "accuracy")]  # fmt: skip
    assert row["value"] is None
    assert (row["state"], row["reason"]) == (
        "failed",
        "the loss is nan at step 2 of 3. Lower learning_rate",
    )

    mended = desk.run()
    assert mended.code == 0
    assert "2 jobs done, 11 were there, 0 failed" in mended.out
    told = desk.status()
    assert told.code == 0
    assert "failed:" not in told.out
    assert "nothing left" in told.out
    assert all(row["state"] == "done" for row in desk.rows())


def test_ctrl_c_in_training_stops_within_seconds_and_a_resume_gives_the_same_results(desk, study, start):
    changed = _one_cell(study, training={"batch_size": 8, "steps": 400, "evaluate_every": 50})
    changed["compute"]["checkpoint_every_s"] = 0
    path = desk.write(changed)
    process = start("run", path, "--store", desk.store)
    deadline = time.monotonic() + 90.0
    while not list(desk.store.glob("work/train-*/scratch/checkpoint.safetensors")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the training did not begin"
        time.sleep(0.02)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    said, complaints = process.communicate(timeout=60)
    took = time.monotonic() - asked
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert took < 5.0 * crowd  # five seconds, where the machine is ours
    assert process.returncode == 130, complaints
    assert "1 job done, 0 were there, 0 failed, 0 blocked, 2 left; run the same command to go on" in said
    assert "Traceback" not in complaints
    assert [name.split("/")[0] for name in desk.artifacts()] == ["examples"]

    changed["compute"]["checkpoint_every_s"] = 60
    desk.write(changed)  # how often the state is saved is no part of the job
    assert desk.run().code == 0
    resumed, record = desk.rows(), desk.records()["same-full-seed1"]
    assert record["facts"]["resumed_from"] > 0
    desk.store = desk.folder / "undisturbed"
    assert desk.run().code == 0
    undisturbed = desk.records()["same-full-seed1"]
    assert undisturbed["facts"]["resumed_from"] is None
    assert record["facts"]["weights_sha256"] == undisturbed["facts"]["weights_sha256"]
    assert _results(resumed) == _results(desk.rows())


def test_a_dry_run_shows_the_plan_and_writes_nothing(desk):
    there = sorted(desk.folder.rglob("*"))
    said = desk.run("--dry-run")
    assert said.code == 0
    assert "small: 1 base model(s) x 2 tasks x 2 methods x 2 seeds = 8 runs; 24 jobs" in said.out
    assert "same-lora-seed2-evaluate" in said.out
    assert sorted(desk.folder.rglob("*")) == there


def test_a_sweep_chooses_by_the_selection_score_and_the_runs_use_the_winner(desk, study):
    swept = {"full": {"learning_rate": {"sweep": [1e-8, 3e-3]}}, "lora": {"rank": {"sweep": [2, 4]}}}
    training = {"batch_size": 8, "steps": 30}
    tasks = [study["tasks"][0] | {"selection_share": 0.4, "metrics": ["accuracy"]}]
    desk.write(_one_cell(study, methods=swept, seeds=[1, 2], training=training, tasks=tasks))
    assert desk.run().code == 0
    records = desk.records()
    trials = desk.rows("--trials")
    assert [(row["method"], row["trial"], row["state"]) for row in trials] == [
        ("full", 0, "complete"),
        ("full", 1, "complete"),
        ("lora", 0, "complete"),
        ("lora", 1, "complete"),
    ]
    for method, field, values in (("full", "learning_rate", [1e-8, 3e-3]), ("lora", "rank", [2, 4])):
        scores = [row["score"] for row in trials if row["method"] == method]
        winner = values[scores.index(max(scores))]
        selected = records[f"same-{method}-select"]["facts"]
        assert selected["values"] == {field: winner}
        assert selected["score"] == max(scores)
        for seed in (1, 2):
            in_force = records[f"same-{method}-seed{seed}"]["facts"]["settings_in_force"]
            said = in_force["peak_learning_rate"] if field == "learning_rate" else in_force["method"]["rank"]
            assert said == winner
    assert records["same-full-select"]["facts"]["trial"] == 1, "a rate of 1e-8 teaches nothing"
    again = desk.run()
    assert "0 to do" in again.out


def test_every_baseline_says_what_it_is(desk, study):
    desk.write(study | {"methods": {"full": {}}, "seeds": [1], "drift": {"num_examples": 5, "controls": []}})
    assert desk.run().code == 0
    baselines = [row for row in desk.rows() if row["kind"] == "baseline"]
    found = {(row["task"], row["method"], row["metric"], row["seed"]): row for row in baselines}
    assert all(row["state"] == "done" for row in baselines)
    assert found["same", "majority", "accuracy", None]["value"] == pytest.approx(8 / 12)
    assert found["same", "majority", "f1", None]["value"] == 0.0
    assert found["same", "random", "accuracy", None]["value"] == 0.5
    assert found["same", "random", "accuracy", None]["reason"] == "expectation"
    assert found["same", "random", "accuracy", 1]["reason"] == "one draw"
    published = found["same", "reference", "accuracy", None]
    assert (published["value"], published["reason"], published["split"]) == (0.9, "A. Nobody, a talk, 1999", None)
    zero_shot = found["same", "zero_shot", "accuracy", None]
    assert zero_shot["base_model"] == "./model"
    assert zero_shot["truncated_share"] == 0.0
    assert found["where", "majority", "squad_f1", None]["value"] == pytest.approx(4 / 12)
    assert 0.0 < found["where", "random", "squad_f1", None]["value"] < 0.5
    assert not any(row["method"] == "zero_shot" and row["task"] == "where" for row in baselines)
    assert desk.records()["same-represent"]["facts"]["num_examples"] == 5


def test_an_encoder_learns_numbers_from_a_file(desk, study):
    tiny_bert(desk.folder / "model", num_hidden_layers=1)
    for split in ("train", "dev"):
        rows = [row | {"label": str(index % 5 + 0.5)} for index, row in enumerate(desk.pairs(split))]
        desk.write_pairs(split, rows)
    task = {key: value for key, value in study["tasks"][0].items() if key not in ("labels", "label_words")}
    task |= {"kind": "regression", "score": "label", "metrics": ["pearson", "rmse"], "references": []}
    desk.write(_one_cell(study, tasks=[task], methods={"lora": {}, "head_only": {}}, baselines=["majority", "random"]))
    assert desk.run().code == 0
    found = {(row["method"], row["metric"], row["seed"]): row for row in desk.rows()}
    assert -1.0 <= found["lora", "pearson", 1]["value"] <= 1.0
    assert found["head_only", "rmse", 1]["value"] > 0.0
    undefined = found["majority", "pearson", None]
    assert undefined["value"] is None
    assert undefined["reason"]
    assert found["random", "pearson", None]["value"] == 0.0
    assert found["random", "rmse", None]["reason"] == "no closed form; see the draws"
    assert found["random", "rmse", 1]["value"] > 0.0


def test_runs_that_are_scored_on_rows_they_saw_say_so(desk, study):
    texts = [name for name in desk.pairs("dev")[0] if name not in ("label", "idx", "id")]
    unseen = [row | {name: f"{row[name]}, unseen" for name in texts} for row in desk.pairs("dev")[:6]]
    desk.write_pairs("dev", [*desk.pairs("train")[:6], *unseen])
    desk.write(study | {"tasks": study["tasks"][:1], "methods": {"head_only": {}}, "seeds": [1], "baselines": []})
    assert desk.run().code == 0
    told = "of 12 report rows (50.0%) have texts that are in train or selection too: their scores measure memory"
    (flags,) = {row["flags"] for row in desk.rows()}
    assert f"6 {told}" in flags.split("; ")


def test_a_run_begun_on_another_base_model_is_refused_and_goes_on_once_it_is_back(desk, study, monkeypatch):
    desk.write(_one_cell(study, compute={"device": "cpu", "num_threads": 1, "checkpoint_every_s": 0}))
    real = loop._Training.advance

    def die(training):
        real(training)
        if training.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "advance", die)
        assert desk.run().code == 130
    weights = desk.folder / "model" / "model.safetensors"
    then = weights.read_bytes()
    tiny_llama(desk.folder / "model", num_hidden_layers=1, seed=5)
    said = desk.run()
    assert said.code == 1
    told = said.out + said.err
    assert "stands at step 2 and was begun from other bytes than are there now: its base model changed." in told
    assert "Put back what was there and run again" in told
    weights.write_bytes(then)
    again = desk.run()
    assert again.code == 0, again.err
    facts = desk.records()["same-full-seed1"]["facts"]
    assert (facts["resumed_from"], facts["num_steps"]) == (2, 3)


def test_forgetting_a_begun_run_lets_it_start_over(desk, study, monkeypatch):
    desk.write(_one_cell(study, compute={"device": "cpu", "num_threads": 1, "checkpoint_every_s": 0}))
    real = loop._Training.advance

    def die(training):
        real(training)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "advance", die)
        assert desk.run().code == 130
    tiny_llama(desk.folder / "model", num_hidden_layers=1, seed=5)
    said = desk.run()
    assert said.code == 1
    (words,) = {
        line.split("tunescope forget ")[1].split(" --store")[0]
        for line in (said.out + said.err).splitlines()
        if "tunescope forget " in line
    }
    assert desk.tunescope("forget", words, "--store", desk.store).code == 0
    assert desk.run().code == 0
    assert desk.records()["same-full-seed1"]["facts"]["resumed_from"] is None
