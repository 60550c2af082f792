"""The jobs of a sweep: which trainings are found again after a change of the study, and which are not."""

from __future__ import annotations

import pytest

from tunescope.search.settings import SweepSettings
from tunescope.search.space import Choice, Range
from tunescope.study.configs import TrainConfig
from tunescope.study.load import parse_study
from tunescope.study.plan import Plan, make_plan
from tunescope.study.sweeps import num_trials_of, sampler_of

TEXT = """
name: t
base_model: org/decoder
tasks: [mrpc, rte]
methods:
  full: {learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}}
  lora: {learning_rate: {sweep: {log_uniform: [1e-4, 1e-2]}}, rank: {sweep: [4, 8]}}
seeds: [1, 2]
sweep: {num_trials: 6, wave_size: 4}
"""


def plan(*changes: str) -> Plan:
    study = parse_study(TEXT, "t", changes)
    return make_plan(study, {model.name: True for model in study.base_models})


def trials(made: Plan) -> dict[str, list[str]]:
    return {f"{one.task}-{one.method}": [job.id for trial in one.trials for job in trial] for one in made.sweeps}


def test_waves_know_the_waves_before_and_the_runs_wait_for_the_choice():
    made = plan()
    assert len(made.sweeps) == 4
    sweep = made.sweeps[0]
    assert [len(trial) for trial in sweep.trials] == [1] * 6
    first, last = sweep.trials[0][0].inputs["proposals"], sweep.trials[5][0].inputs["proposals"]
    assert (first.inputs, last.inputs["previous"]) == ({}, first)
    assert set(last.inputs) == {"previous", "trial_0_0", "trial_1_0", "trial_2_0", "trial_3_0"}
    assert set(sweep.select.inputs) == {"previous", "trial_4_0", "trial_5_0"}
    assert {id(run.train.inputs["selected"]) for run in made.runs} == {id(one.select) for one in made.sweeps}
    kinds = [job.kind for job in made.jobs]
    assert (kinds.count("trial"), kinds.count("propose"), kinds.count("select")) == (24, 8, 4)


@pytest.mark.parametrize("num", [7, 8, 20])
def test_more_trials_keep_those_there_are(num):
    before, after = trials(plan()), trials(plan(f"sweep.num_trials={num}"))
    for name, ids in before.items():
        assert after[name][:6] == ids
        assert len(after[name]) == num


def test_more_trials_keep_those_of_a_sweep_shorter_than_the_usual_wave():
    short = trials(plan("sweep={num_trials: 3}"))
    longer = trials(plan("sweep={num_trials: 9}"))
    assert all(longer[name][:3] == ids for name, ids in short.items())


@pytest.mark.parametrize(
    "change", ["seeds=[1, 2, 3]", "tasks.mrpc.max_report=100", "question=why", "compute.micro_batch_tokens=99"]
)
def test_what_does_not_bear_on_the_choice_tunes_nothing_anew(change):
    before, after = plan(), plan(change)
    assert trials(before) == trials(after)
    assert [one.select.id for one in before.sweeps] == [one.select.id for one in after.sweeps]


@pytest.mark.parametrize(
    "change",
    [
        "methods.lora.learning_rate={sweep: {log_uniform: [1e-4, 2e-2]}}",
        "methods.lora.weight_decay=0.5",
        "sweep.seed=1",
        "sweep.wave_size=3",
        "sweep.pruner=median",
        "tasks.mrpc.max_train=100",
        "tasks.mrpc.max_selection=50",
    ],
)
def test_space_data_and_settings_tune_anew(change):
    assert not set(trials(plan())["mrpc-lora"]) & set(trials(plan(change))["mrpc-lora"])


def test_one_methods_space_leaves_the_others_alone():
    before, after = trials(plan()), trials(plan("methods.lora.learning_rate={sweep: {log_uniform: [1e-4, 2e-2]}}"))
    assert before["mrpc-full"] == after["mrpc-full"]


def test_another_version_of_training_tunes_anew(monkeypatch):
    before = plan()
    old = trials(before)
    identity = TrainConfig.identity
    monkeypatch.setattr(TrainConfig, "identity", lambda config: identity(config) | {"version": 999})
    after = plan()
    for name, ids in trials(after).items():
        assert not set(ids) & set(old[name])
    assert not {one.select.id for one in before.sweeps} & {one.select.id for one in after.sweeps}


def test_the_order_of_fields_in_the_file_changes_nothing():
    other = "methods.lora={rank: {sweep: [4, 8]}, learning_rate: {sweep: {log_uniform: [1e-4, 1e-2]}}}"
    turned = "methods.lora={learning_rate: {sweep: {log_uniform: [1e-4, 1e-2]}}, rank: {sweep: [4, 8]}}"
    one, two = plan(other), plan(turned)
    assert trials(one) == trials(two)
    assert [list(sweep.select.config.spaces) for sweep in one.sweeps] == [
        list(sweep.select.config.spaces) for sweep in two.sweeps
    ]


def test_trials_of_all_methods_and_tasks_have_the_same_seeds_and_no_two_alike():
    seeds = {
        tuple(job.config.seed for trial in one.trials for job in trial)
        for one in plan("sweep.seeds_per_trial=3").sweeps
    }
    (own,) = seeds
    assert len(set(own)) == 18


def test_two_base_models_are_tuned_each_for_itself():
    text = TEXT.replace("base_model: org/decoder", "base_models: [org/one, org/two]")
    study = parse_study(text, "t")
    made = make_plan(study, {"org/one": True, "org/two": True})
    assert len(made.sweeps) == 8
    assert len({one.select.id for one in made.sweeps}) == 8


def test_which_sampler_is_in_force():
    lists, ranged = {"rank": Choice(values=(4, 8))}, {"rank": Range(low=4, high=8, integer=True)}
    assert sampler_of(SweepSettings(), lists) == "grid"
    assert num_trials_of(SweepSettings(), lists) == 2
    assert sampler_of(SweepSettings(num_trials=2), lists) == "tpe"
    assert sampler_of(SweepSettings(num_trials=2), ranged) == "tpe"
    assert sampler_of(SweepSettings(sampler="qmc", num_trials=2), lists) == "qmc"
