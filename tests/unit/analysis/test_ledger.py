"""What a study cost: jobs by kind, failed ones too, and methods beside the reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stored_study import START, StoredStudy
from tunescope.analysis.ledger import collect_costs, collect_relative_costs
from tunescope.store import RecordFields
from tunescope.store.record import Telemetry
from tunescope.study.job import Resources

TEXT = """
name: t
base_model: org/decoder
tasks: [rte, mrpc]
methods: {lora: {}, all_of_it: {type: full}}
seeds: [1, 2]
compute: {price_per_hour: 3.6}
"""


@pytest.fixture
def stored(tmp_path):
    return StoredStudy(tmp_path / "store", TEXT)


def _cost(stored, kind, task, method):
    found = collect_costs(stored.plan, stored.store)
    return next(one for one in found if (one.kind, one.task, one.method) == (kind, task, method))


def test_done_and_failed_jobs_are_both_paid_for(stored):
    stored.train("rte-lora-seed1", train_s=9.0, memory=2.0)
    stored.fail("rte-lora-seed2", seconds=30.0)
    cost = _cost(stored, "train", "rte", "lora")
    assert (cost.num_jobs, cost.num_done, cost.num_failed, cost.num_untimed) == (2, 1, 1, 0)
    assert (cost.seconds, cost.done_s) == (40.0, 10.0)
    assert cost.price == pytest.approx(0.04)
    assert (cost.num_tokens, cost.peak_memory_gib, cost.gpu_seconds) == (1000, 2.0, 0.0)
    assert cost.predicted_s is None


def test_a_failure_without_a_time_is_counted_and_not_timed(stored):
    stored.fail("rte-lora-seed2")
    cost = _cost(stored, "train", "rte", "lora")
    assert (cost.num_failed, cost.num_untimed, cost.seconds) == (1, 1, 0.0)


def test_a_training_that_was_gone_on_with_counts_all_its_steps(stored):
    facts = {"train_s": 50.0, "num_tokens": 1000, "weights_sha256": "aa"}
    stored.commit("rte-lora-seed1", facts, seconds=10.0)
    assert _cost(stored, "train", "rte", "lora").seconds == 50.0


def test_hours_on_a_gpu_are_told_apart(stored):
    stored.train("rte-lora-seed1", train_s=9.0, gpu=5.0)
    stored.train("rte-lora-seed2", train_s=19.0)
    cost = _cost(stored, "train", "rte", "lora")
    assert (cost.seconds, cost.gpu_seconds, cost.gpu_peak_gib) == (30.0, 10.0, 5.0)


def test_every_job_of_the_plan_is_in_one_row(stored):
    costs = collect_costs(stored.plan, stored.store)
    assert sum(cost.num_jobs for cost in costs) == len(stored.plan.jobs)
    assert len({(cost.kind, cost.base_model, cost.task, cost.method) for cost in costs}) == len(costs)


def test_work_that_two_tasks_share_is_paid_for_once(tmp_path):
    swept = "{rank: {sweep: [4, 8]}}"
    text = TEXT.replace("{lora: {}", f"{{lora: {swept}") + "sweep: {allow_unequal_budgets: true}\n"
    stored = StoredStudy(tmp_path / "store", text)
    first, second = (stored.jobs[f"{task}-lora-wave0"] for task in ("rte", "mrpc"))
    assert first.id == second.id
    stored.commit("rte-lora-wave0", {}, seconds=5.0)
    waves = [cost for cost in collect_costs(stored.plan, stored.store) if cost.kind == "propose"]
    assert [(cost.task, cost.num_done, cost.seconds) for cost in waves if cost.num_done] == [("rte", 1, 5.0)]


def test_a_study_without_a_price_has_none(tmp_path):
    stored = StoredStudy(tmp_path / "store")
    stored.train("rte-lora-seed1")
    assert _cost(stored, "train", "rte", "lora").price is None


def test_predictions_stand_beside_what_is_done_where_all_of_it_has_one(stored):
    stored.train("rte-lora-seed1")
    timed = tuple(replace(job, resources=Resources(predicted_s=7.0)) for job in stored.plan.jobs)
    costs = collect_costs(replace(stored.plan, jobs=timed), stored.store)
    by_place = {(cost.kind, cost.task, cost.method): cost for cost in costs}
    assert by_place["train", "rte", "lora"].predicted_s == 7.0
    assert by_place["train", "mrpc", "lora"].predicted_s is None


def test_a_method_stands_beside_full_fine_tuning_task_by_task_and_over_tasks(stored):
    for task, lora_s, full_s in (("rte", (2.0, 4.0), (6.0, 6.0)), ("mrpc", (8.0, 8.0), (4.0, 4.0))):
        for seed in (1, 2):
            stored.train(f"{task}-lora-seed{seed}", train_s=lora_s[seed - 1], trainable=5, memory=1.0)
            stored.train(f"{task}-all_of_it-seed{seed}", train_s=full_s[seed - 1], trainable=50, memory=4.0)
    found = {(one.task, one.method): one for one in collect_relative_costs(stored.plan, stored.store)}
    rte, over = found["rte", "lora"], found[None, "lora"]
    assert rte.reference == over.reference == "all_of_it"
    assert (rte.train_s, rte.time_ratio, rte.parameters_ratio, rte.memory_ratio) == (3.0, 0.5, 0.1, 0.25)
    assert found["mrpc", "lora"].time_ratio == 2.0
    assert over.time_ratio == pytest.approx(1.0)
    assert over.parameters_ratio == pytest.approx(0.1)
    assert (over.num_tasks, over.num_seeds, over.train_s) == (2, 2, None)
    assert found[None, "all_of_it"].time_ratio == pytest.approx(1.0)


def test_memory_is_of_the_gpu_only_where_both_were_on_one(stored):
    stored.train("rte-lora-seed1", memory=8.0, gpu=1.0)
    stored.train("rte-all_of_it-seed1", memory=16.0, gpu=4.0)
    stored.train("mrpc-lora-seed1", memory=8.0, gpu=1.0)
    stored.train("mrpc-all_of_it-seed1", memory=16.0)
    found = {(one.task, one.method): one for one in collect_relative_costs(stored.plan, stored.store)}
    assert (found["rte", "lora"].memory_of, found["rte", "lora"].memory_ratio) == ("gpu", 0.25)
    assert (found["mrpc", "lora"].memory_of, found["mrpc", "lora"].memory_ratio) == ("process", 0.5)
    assert (found[None, "lora"].memory_of, found[None, "lora"].memory_ratio) == (None, None)


def test_without_the_reference_there_is_a_mean_and_no_ratio(stored):
    stored.train("rte-lora-seed1", train_s=2.0)
    found = {(one.task, one.method): one for one in collect_relative_costs(stored.plan, stored.store)}
    rte = found["rte", "lora"]
    assert (rte.train_s, rte.time_ratio, rte.num_tasks) == (2.0, None, 0)
    assert (found[None, "lora"].time_ratio, found[None, "lora"].num_tasks) == (None, 0)


def _measured(stored, label, seconds, **telemetry):
    job = stored.jobs[label]
    given = {
        "num_samples": 3,
        "interval_s": 1.0,
        "rss_peak_gib": 1.0,
        "cpu_percent_mean": 90.0,
        "gpu_utilisation_percent_mean": None,
        "gpu_memory_used_peak_gib": None,
        "energy_j": None,
        "energy_source": "not measured",
    }
    fields = RecordFields(
        label=label,
        config=job.config.identity(),
        inputs={role: needed.id for role, needed in job.inputs.items()},
        facts={},
        started_at=START,
        duration_s=seconds,
        peak_memory_gib=1.0,
        peak_memory_covers="job",
        telemetry=Telemetry(**(given | telemetry)),
    )
    stored.store.commit(stored.store.begin(job.kind, job.id), fields)


def test_energy_is_a_sum_and_utilisation_a_mean_over_time(stored):
    _measured(stored, "rte-lora-seed1", 10.0, energy_j=100.0, gpu_utilisation_percent_mean=50.0)
    _measured(stored, "rte-lora-seed2", 30.0, energy_j=300.0, gpu_utilisation_percent_mean=90.0)
    cost = _cost(stored, "train", "rte", "lora")
    assert (cost.energy_j, cost.gpu_utilisation_percent) == (400.0, 80.0)


def test_a_job_that_does_not_know_its_energy_leaves_no_sum(stored):
    _measured(stored, "rte-lora-seed1", 10.0, energy_j=100.0, gpu_utilisation_percent_mean=50.0)
    _measured(stored, "rte-lora-seed2", 30.0)
    cost = _cost(stored, "train", "rte", "lora")
    assert (cost.energy_j, cost.gpu_utilisation_percent) == (None, 50.0)
    assert _cost(stored, "train", "rte", "all_of_it").energy_j is None
