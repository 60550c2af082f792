"""A sweep as a user sees it: failed and pruned trials, the table of trials, a second run, Optuna's storage."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tunescope.steps import STEPS

METHODS = {
    "full": {"learning_rate": {"sweep": {"log_uniform": [1e-4, 1e-2], "default": 1e-3}}},
    "lora": {
        "learning_rate": {"sweep": {"log_uniform": [1e-3, 1e-1], "default": 1e-2}},
        "rank": {"sweep": {"categorical": [2, 4], "default": 4}},
    },
}


def swept(study, methods=METHODS, **sweep):
    """One task, two tuned methods, one seed."""
    return study | {
        "tasks": [study["tasks"][0] | {"selection_share": 0.3}],
        "methods": methods,
        "seeds": [1],
        "baselines": [],
        "training": {"batch_size": 8, "steps": 6, "evaluate_every": 1},
        "sweep": {"num_trials": 4, "wave_size": 2} | sweep,
    }


def trials_of(desk, *more):
    said = desk.tunescope("results", desk.path, "--store", desk.store, "--trials", "--format", "json", *more)
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


def settled(rows):
    """Trials without what differs from run to run."""
    return [{key: value for key, value in row.items() if key != "train_s"} for row in rows]


def test_every_trial_is_listed_the_best_is_trained_with_and_a_second_run_starts_no_job(desk, study):
    desk.path = desk.write(swept(study))
    first = desk.run()
    assert first.code == 0, first.err
    made = desk.artifacts()
    rows = trials_of(desk)
    assert [(row["method"], row["trial"], row["state"]) for row in rows] == [
        (method, trial, "complete") for method in ("full", "lora") for trial in range(4)
    ]
    for method in ("full", "lora"):
        own = [row for row in rows if row["method"] == method]
        best = max(own, key=lambda row: (row["score"], -row["trial"]))
        assert [row["trial"] for row in own if row["is_best"]] == [best["trial"]]
        assert [row["trial"] for row in own if row["is_default"]] == [0]
        record, chosen = desk.records()[f"same-{method}-seed1"], json.loads(best["values"])
        (log,) = desk.store.glob(f"artifacts/train/{record['id']}/log.jsonl")
        steps = [line for line in map(json.loads, log.read_text().splitlines()) if line["event"] == "step"]
        assert max(line["learning_rate"] for line in steps) == pytest.approx(chosen["learning_rate"])
        if method == "lora":
            assert record["facts"]["settings_in_force"]["method"]["rank"] == chosen["rank"]
        assert all(row["num_tokens"] == row["num_tokens_planned"] > 0 for row in own)
    assert all(row["effective_scale"] is not None for row in rows if row["method"] == "lora")
    assert not list(desk.store.glob("artifacts/trial/*/*.safetensors")), "trials keep no weights"

    second = desk.run()
    assert second.code == 0
    assert "0 to do" in second.out
    assert desk.artifacts() == made
    assert trials_of(desk) == rows
    status = desk.status()
    assert (status.code, "nothing left" in status.out) == (0, True)

    table = desk.tunescope("results", desk.path, "--store", desk.store, "--trials")
    assert table.code == 0
    for word in ("learning_rate", "rank", "scale", "chosen", "default"):
        assert word in table.out
    text = desk.tunescope("results", desk.path, "--store", desk.store, "--trials", "--format", "csv").out
    assert [row["trial"] for row in csv.DictReader(io.StringIO(text))] == [str(row["trial"]) for row in rows]


def test_a_trial_with_an_absurd_rate_is_failed_told_to_the_sampler_and_never_a_zero(desk, study, monkeypatch):
    methods = {"full": {"learning_rate": {"sweep": [1e-3, 10.0]}, "max_grad_norm": None, "weight_decay": 10.0}}
    real = STEPS["trial"]

    def step(config, inputs, out, scratch, context):
        wide = config.training.updated(
            {"adam_epsilon": 1e-8, "steps": 400, "warmup_share": 0.0, "schedule": "constant"}
        )
        return real(config.model_copy(update={"training": wide}), inputs, out, scratch, context)

    monkeypatch.setitem(STEPS, "trial", step)
    desk.path = desk.write(swept(study, methods, sampler="tpe", num_trials=4, num_startup_trials=1))
    said = desk.run()
    assert said.code == 0, said.err + said.out
    rows = trials_of(desk)
    failed = [row for row in rows if json.loads(row["values"])["learning_rate"] == 10.0]
    assert failed
    assert {(row["state"], row["score"]) for row in failed} == {("failed", None)}
    assert all("at step" in row["reason"] and "Lower learning_rate" in row["reason"] for row in failed)
    assert f"{len(failed)} trials failed and count as such" in said.out
    assert not any(row["is_best"] for row in failed)
    status = desk.status()
    assert status.code == 0
    assert "nothing left" in status.out
    made = desk.artifacts()
    again = desk.run()
    assert (again.code, desk.artifacts()) == (0, made)
    assert settled(trials_of(desk)) == settled(rows)


def test_all_trials_failed_is_a_failure_that_says_why(desk, study, monkeypatch):
    def step(config, inputs, out, scratch, context):
        raise RuntimeError("the card fell off the bus")

    monkeypatch.setitem(STEPS, "trial", step)
    desk.path = desk.write(swept(study, {"full": METHODS["full"]}))
    said = desk.run()
    assert said.code == 1
    assert "none of the sweep's 4 trials is complete" in " ".join(said.out.split())
    rows = trials_of(desk)
    assert {(row["state"], row["score"], row["is_best"]) for row in rows} == {("failed", None, False)}
    assert all(json.loads(row["values"]) and "fell off the bus" in row["reason"] for row in rows)
    assert desk.status().code == 1


def test_hopeless_trials_are_stopped_by_real_scores_and_the_tokens_saved_are_told(desk, study):
    methods = {"full": {"learning_rate": {"sweep": [1e-2, 1e-7, 1e-6, 1e-8]}}}
    pruner = {"name": "median", "num_startup_trials": 1}
    spec = swept(study, methods, pruner=pruner, wave_size=1)
    del spec["sweep"]["num_trials"]
    desk.path = desk.write(spec)
    said = desk.run()
    assert said.code == 0, said.err
    rows = trials_of(desk)
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned
    assert rows[0]["state"] == "complete"
    for row in pruned:
        assert row["score"] is not None
        assert row["num_scorings"] < 6
        assert 0 < row["num_tokens"] < row["num_tokens_planned"]
        (name,) = desk.store.glob(f"artifacts/trial/{row['jobs']}/log.jsonl")
        scored = [line for line in map(json.loads, name.read_text().splitlines()) if line["event"] == "selection"]
        assert len(scored) == row["num_scorings"]
    read, planned = sum(row["num_tokens"] for row in rows), sum(row["num_tokens_planned"] for row in rows)
    shown = desk.tunescope("results", desk.path, "--store", desk.store, "--trials").out
    shown = " ".join(shown.split())
    assert f"stopping early saved {1 - read / planned:.0%} of {planned:,} tokens" in shown


def test_optuna_reads_the_storage(desk, study):
    import optuna

    spec = swept(study, pruner={"name": "successive_halving"}, wave_size=1)
    desk.path = desk.write(spec)
    assert desk.run().code == 0
    storage = desk.store / "studies" / "small" / "optuna.db"
    names = optuna.get_all_study_names(f"sqlite:///{storage}")
    assert len(names) == 2
    rows = trials_of(desk)
    for name in names:
        study_read = optuna.load_study(study_name=name, storage=f"sqlite:///{storage}")
        own = [row for row in rows if row["method"] == name.rsplit("/", 1)[1]]
        assert [trial.state.name.lower() for trial in study_read.trials] == [row["state"] for row in own]
        assert [trial.params for trial in study_read.trials] == [json.loads(row["values"]) for row in own]
        for trial, row in zip(study_read.trials, own, strict=True):
            assert len(trial.intermediate_values) == row["num_scorings"]
            assert trial.value == pytest.approx(row["score"]) or row["state"] == "pruned"
    before = storage.stat().st_mtime_ns
    assert desk.run().code == 0
    assert storage.stat().st_mtime_ns == before, "what has not changed is not written again"
    assert desk.run("--set", "sweep.num_trials=5").code == 0
    assert len(optuna.load_study(study_name=names[0], storage=f"sqlite:///{storage}").trials) == 5
    assert desk.run().code == 0
    assert len(optuna.load_study(study_name=names[0], storage=f"sqlite:///{storage}").trials) == 4


def test_more_trials_and_more_seeds_keep_what_there_is(desk, study):
    desk.path = desk.write(swept(study, {"full": METHODS["full"]}))
    assert desk.run().code == 0
    made = desk.artifacts()
    assert desk.run("--set", "seeds=[1, 2]").code == 0
    more = desk.artifacts()
    assert {name.split("/")[0] for name in more.keys() - made.keys()} == {"train", "evaluate"}
    rows = trials_of(desk)
    assert desk.run("--set", "sweep.num_trials=7").code == 0
    longer = trials_of(desk, "--set", "sweep.num_trials=7")
    assert [row["jobs"] for row in longer[:4]] == [row["jobs"] for row in rows]
    assert all(desk.artifacts()[name] == written for name, written in made.items())


def test_several_seeds_a_trial_with_a_pruner_and_waves_of_one(desk, study):
    spec = swept(study, {"full": METHODS["full"]}, seeds_per_trial=3, wave_size=1, num_trials=3, pruner="median")
    desk.path = desk.write(spec)
    said = desk.run()
    assert said.code == 0, said.err
    rows = trials_of(desk)
    assert [len(row["jobs"].split()) for row in rows] == [3, 3, 3]
    labels = [label for label in desk.records() if "trial" in label]
    assert sorted(labels) == [f"same-full-trial{trial}-{seed}" for trial in range(3) for seed in range(3)]


@pytest.mark.parametrize(
    "field, values",
    [
        ("batch_size", [4, 8]),
        ("epochs", {"int": [1, 2]}),
        ("schedule", ["linear", "constant"]),
        ("target_modules", [["q_proj"], ["q_proj", "v_proj"]]),
        ("use_dora", [False, True]),
        ("rank", {"log_int": [1, 8]}),
        ("max_grad_norm", [None, 1.0]),
    ],
)
def test_any_field_can_be_swept(desk, study, field, values):
    spec = swept(study, {"lora": {field: {"sweep": values}}}, sampler="random", num_trials=2)
    if field == "epochs":
        spec["training"] = {"batch_size": 8}
    desk.path = desk.write(spec)
    said = desk.run()
    assert said.code == 0, said.err + said.out
    assert all(field in json.loads(row["values"]) for row in trials_of(desk))
    assert desk.tunescope("results", desk.path, "--store", desk.store, "--trials").code == 0


def test_status_during_a_sweep_and_what_was_forgotten(desk, study, monkeypatch):
    real = STEPS["propose"]
    stopped = []

    def step(config, inputs, out, scratch, context):
        if config.first and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt
        return real(config, inputs, out, scratch, context)

    monkeypatch.setitem(STEPS, "propose", step)
    desk.path = desk.write(swept(study, {"full": METHODS["full"]}))
    assert desk.run().code == 130
    assert desk.status().code == 0
    half = trials_of(desk)
    assert [row["state"] for row in half] == ["complete", "complete", "missing", "missing"]
    assert desk.tunescope("results", desk.path, "--store", desk.store, "--trials").code == 0
    assert not (desk.store / "studies" / "small" / "optuna.db").exists()
    assert desk.run().code == 0
    rows = trials_of(desk)
    assert rows[:2] == [
        row | {"is_best": rows[at]["is_best"], "is_default": at == 0} for at, row in enumerate(half[:2])
    ]
    labels = {record["label"]: record["id"] for record in desk.records().values()}
    for label in ("same-full-wave0", "same-full-trial0", "same-full-trial3"):
        assert desk.tunescope("forget", labels[label], "--store", desk.store).code == 0
    status = desk.status()
    assert "nothing left" in status.out, "nobody waits for them any more"
    assert "0 to do" in desk.run().out
    assert [(row["score"], row["values"]) for row in trials_of(desk)] == [(row["score"], row["values"]) for row in rows]
    assert desk.tunescope("forget", labels["same-full-select"], "--store", desk.store).code == 0
    assert desk.run().code == 0
    assert settled(trials_of(desk)) == settled(rows)


def test_a_wrong_sweep_is_refused_and_nothing_is_written(desk, study):
    desk.path = desk.write(swept(study, wave_size=9))
    (told,) = desk.refused()
    assert told == "DESK/study.yaml: sweep: wave_size 9 is more than num_trials 4: there would be no whole wave"
    desk.path = desk.write(swept(study, {**METHODS, "head_only": {}}))
    (told,) = desk.refused()
    assert "methods full, lora are tuned and head_only not" in told
