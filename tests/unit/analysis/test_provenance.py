"""Jobs with their states, the code and machines they ran on, and what makes the numbers again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stored_study import START, TEXT, StoredStudy
from tunescope.analysis.ledger import collect_costs
from tunescope.analysis.provenance import collect_jobs, collect_provenance
from tunescope.store.provenance import library_versions


@pytest.fixture
def stored(tmp_path):
    return StoredStudy(tmp_path / "store")


def _provenance(stored):
    return collect_provenance(stored.plan, stored.store, collect_jobs(stored.plan, stored.store))


def test_every_job_has_a_line_with_its_state_and_where_to_look(stored):
    stored.train("rte-lora-seed1", train_s=2.0, flags=["loss rose"])
    stored.fail("rte-lora-seed2", "out of memory", seconds=7.0)
    lines = {line.label: line for line in collect_jobs(stored.plan, stored.store)}
    assert list(lines) == [job.label for job in stored.plan.jobs]
    done, failed, waits = (lines[f"rte-lora-seed{end}"] for end in ("1", "2", "2-evaluate"))
    assert (done.state, done.seconds, done.flags, done.seed) == ("done", 3.0, ("loss rose",), 1)
    assert (stored.store.path / done.record).is_file()
    assert done.started_at == START
    assert (failed.state, failed.seconds, failed.error, failed.record) == ("failed", 7.0, "E", "")
    assert "out of memory" in failed.reason
    assert (waits.state, waits.inputs) == ("missing", (("run", failed.id),))
    assert "rte-lora-seed2" in waits.reason


def test_trials_that_nothing_waits_for_are_not_missing(tmp_path):
    swept = StoredStudy(
        tmp_path / "store",
        TEXT.replace("lora: {}", "lora: {rank: {sweep: [4, 8]}}") + "sweep: {allow_unequal_budgets: true}\n",
    )
    before = _provenance(swept)
    assert before.num_missing == len({job.id for job in swept.plan.jobs})
    swept.commit("rte-lora-select", {})
    after = _provenance(swept)
    lines = {line.label: line for line in collect_jobs(swept.plan, swept.store)}
    assert not lines["rte-lora-trial0"].is_wanted
    assert lines["rte-lora-seed1"].is_wanted
    assert after.num_missing == sum(line.is_wanted and line.state == "missing" for line in lines.values())
    assert after.num_missing < before.num_missing - 1


def test_work_that_two_labels_share_counts_once_as_in_the_ledger(tmp_path):
    text = TEXT.replace("[rte]", "[rte, mrpc]").replace(
        "lora: {}", "lora: {learning_rate: {sweep: {log_uniform: [1e-4, 1e-2]}}}"
    )
    swept = StoredStudy(tmp_path / "store", text + "sweep: {num_trials: 4, allow_unequal_budgets: true}\n")
    first, second = swept.jobs["rte-lora-wave0"], swept.jobs["mrpc-lora-wave0"]
    assert first.id == second.id
    swept.commit("rte-lora-wave0", {})
    found = _provenance(swept)
    costs = collect_costs(swept.plan, swept.store)
    assert (
        found.num_done == sum(cost.num_done for cost in costs) == sum(one.num_jobs for one in found.environments) == 1
    )
    assert found.num_done + found.num_missing == sum(cost.num_jobs for cost in costs)


def test_code_and_machines_are_told_once_with_how_many_jobs_ran_there(stored):
    stored.run("rte-full-seed1", ["a"], ["a"])
    found = _provenance(stored)
    (environment,) = found.environments
    assert environment.num_jobs == 2
    assert dict(environment.versions) == library_versions()
    assert (found.first, environment.first) == (START, START)
    assert found.last == environment.last == START + timedelta(minutes=1, seconds=1)
    assert found.models[0].fingerprints == ("model bytes",)
    assert (found.num_done, found.num_failed) == (2, 0)


def test_the_commands_pin_what_ran(stored):
    assert _provenance(stored).commands[0].startswith("tunescope run t.yaml"), "nothing has run"
    stored.train("rte-full-seed1")
    commands = _provenance(stored).commands
    assert f"torch=={library_versions()['torch'].partition('+')[0]}" in " ".join(commands)
    assert not any("+cpu" in line for line in commands), "a wheel's local version is on no index"
    assert [line.split()[:2] for line in commands[-2:]] == [["tunescope", "run"], ["tunescope", "report"]]


def test_the_study_as_run_is_kept_beside_its_jobs(stored):
    assert _provenance(stored).study_text == ""
    stored.store.studies.save("t", "name: t  # as run\n", [], {})
    assert _provenance(stored).study_text == "name: t  # as run\n"
