"""Every trial is a row: before it ran, when its sweep is half done, and when the choice is made; and so Optuna reads it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import optuna
import pytest

from tunescope.analysis.collect import as_table
from tunescope.analysis.optuna_storage import write_optuna_storage
from tunescope.analysis.sweeps import summarise_sweeps
from tunescope.analysis.trials import TrialRow, collect_trials, effective_scale
from tunescope.report.terminal.trials import sweep_lines, trial_summary
from tunescope.search.trial import TrialTraining
from tunescope.steps import propose, select
from tunescope.store import Failure, RecordFields, Store
from tunescope.study.load import parse_study
from tunescope.study.plan import make_plan

from fake_steps import fake_context  # isort: skip

_TEXT = """
name: t
base_model: org/decoder
tasks: [{name: rte}]
methods:
  lora:
    learning_rate: {sweep: {log_uniform: [1e-4, 1e-2], default: 1e-3}}
    rank: {sweep: {categorical: [4, 8], default: 4}}
seeds: [1]
sweep: {num_trials: 4, wave_size: 2, num_startup_trials: 2}
"""


class Made:
    """A sweep whose proposals and choice are real and whose trainings are given."""

    def __init__(self, folder):
        self.plan = make_plan(parse_study(_TEXT, "t"), {"org/decoder": True})
        self.store = Store.open(folder, create=True)
        self.jobs = {job.label: job for job in self.plan.jobs}

    def step(self, label, step):
        job = self.jobs[label]
        inputs = {
            role: folder
            for role, needed in job.inputs.items()
            if (folder := self.store.artifact(needed.kind, needed.id)) is not None
        }
        work = self.store.begin(job.kind, job.id)
        self._commit(job, work, step.run(job.config, inputs, work.out, work.scratch, fake_context()))

    def train(self, number, score, state="complete", tokens=100):
        job = self.jobs[f"rte-lora-trial{number}"]
        wave = propose.read_wave(self.store.artifact("propose", job.inputs["proposals"].id))
        values = wave.values[number - wave.first]
        told = TrialTraining(
            number=number,
            replicate=0,
            seed=1,
            values=values,
            state=state,
            score=score,
            standard_error=0.02,
            num_examples=400,
            curve=((1, score / 2), (2, score)),
            num_tokens=tokens,
            num_tokens_planned=100,
        )
        work = self.store.begin(job.kind, job.id)
        (work.out / "trial.json").write_text(told.model_dump_json())
        method = {"rank": values["rank"], "alpha": 16.0, "use_rslora": False}
        self._commit(job, work, {"settings_in_force": {"method": method}, "train_s": 2.0})

    def fail(self, number, reason):
        job = self.jobs[f"rte-lora-trial{number}"]
        self.store.begin(job.kind, job.id)
        failure = Failure(label="x", reason=reason, error="E", traceback="", log="x", failed_at=datetime.now(UTC))
        self.store.fail(job.kind, job.id, failure)

    def whole(self):
        self.step("rte-lora-wave0", propose)
        self.train(0, 0.6)
        self.fail(1, "the loss is nan at step 3")
        self.step("rte-lora-wave1", propose)
        self.train(2, 0.4, "pruned", tokens=50)
        self.train(3, 0.8)
        self.step("rte-lora-select", select)

    def rows(self):
        return collect_trials(self.plan, self.store)

    def _commit(self, job, work, facts):
        self.store.commit(
            work,
            RecordFields(
                label=job.label,
                config=job.config.identity(),
                inputs={role: needed.id for role, needed in job.inputs.items()},
                facts=facts,
                started_at=datetime.now(UTC),
                duration_s=1.0,
                peak_memory_gib=0.25,
                peak_memory_covers="job",
            ),
        )


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path / "store")


def test_before_anything_ran_every_trial_is_missing(made):
    rows = made.rows()
    assert [(row.trial, row.state, row.score, row.values) for row in rows] == [
        (number, "missing", None, "") for number in range(4)
    ]
    (summary,) = summarise_sweeps(made.plan, made.store)
    assert summary.chosen == "not chosen yet, 4 trials planned"
    assert (summary.budget, summary.warnings) == ((), ())


def test_a_half_done_sweep_shows_what_has_ended_and_what_a_failed_trial_tried(made):
    made.step("rte-lora-wave0", propose)
    made.train(0, 0.6)
    made.fail(1, "the loss is nan at step 3")
    first, second, third, _ = made.rows()
    assert (first.state, first.score, first.effective_scale) == ("complete", 0.6, 4.0)
    assert (second.state, second.score, second.reason) == ("failed", None, "the loss is nan at step 3")
    assert set(json.loads(second.values)) == {"learning_rate", "rank"}
    assert third.state == "missing"
    assert not any(row.is_best for row in made.rows())


def test_a_finished_sweep(made):
    made.whole()
    rows = made.rows()
    assert [(row.state, row.score, row.is_best, row.is_default) for row in rows] == [
        ("complete", 0.6, False, True),
        ("failed", None, False, False),
        ("pruned", 0.4, False, False),
        ("complete", 0.8, True, False),
    ]
    assert rows[1].reason == "the loss is nan at step 3"
    assert [row.num_tokens for row in rows] == [100, 0, 50, 100]
    table = as_table(rows, TrialRow)
    assert table.column_names == list(TrialRow.__dataclass_fields__)
    (summary,) = summarise_sweeps(made.plan, made.store)
    assert summary.chosen.startswith("trial 3 of 4 (2 complete, 1 pruned, 1 failed): ")
    assert summary.chosen.endswith(
        "on 400 selection rows; stopping early saved 17% of 300 tokens, failed trials left out"
    )
    assert "accuracy 80.00 (standard error 2.00)" in summary.chosen
    assert "accuracy 60.00; tuned +20.00 points" in summary.against_default
    assert [k for k, _ in summary.budget] == [1, 2, 4]
    assert summary.budget_curve.startswith("expected best after k trials drawn from these: 1: ")
    assert any("1 of 4 trials failed" in warning for warning in summary.warnings)


def test_a_choice_that_failed_says_so(made):
    made.step("rte-lora-wave0", propose)
    for number in (0, 1):
        made.fail(number, "the loss is nan at step 3")
    job = made.jobs["rte-lora-select"]
    failure = Failure(
        label="x", reason="none is complete", error="E", traceback="", log="x", failed_at=datetime.now(UTC)
    )
    made.store.begin(job.kind, job.id)
    made.store.fail(job.kind, job.id, failure)
    (summary,) = summarise_sweeps(made.plan, made.store)
    assert summary.chosen == "no choice: none is complete"


def test_a_person_reads_all_of_it(made, capsys):
    from rich.console import Console

    made.whole()
    console = Console(width=200, color_system=None)
    sweeps = summarise_sweeps(made.plan, made.store)
    console.print(trial_summary(made.rows(), sweeps))
    shown = capsys.readouterr().out
    for word in ("rte lora", "scale", "failed", "pruned", "chosen", "default", "trial 1 failed: the loss is nan"):
        assert word in shown
    for part in sweep_lines(sweeps):
        console.print(part)
    assert "tuned: rte lora: trial 3 of 4" in capsys.readouterr().out
    console.print(trial_summary([], []))
    assert "this study has no sweep" in capsys.readouterr().out


@pytest.mark.parametrize(
    "method, scale",
    [
        ({"rank": 8, "alpha": 16}, 2.0),
        ({"rank": 16, "alpha": 16, "use_rslora": True}, 4.0),
        ({"rank": 8}, None),
        ({}, None),
    ],
)
def test_effective_scale(method, scale):
    assert effective_scale(method) == scale


def test_optuna_reads_values_states_and_intermediate_scores(made, tmp_path):
    assert write_optuna_storage(made.plan, made.store, tmp_path) is None
    assert not (tmp_path / "optuna.db").exists()
    made.whole()
    folder = tmp_path / "a ?#% folder"
    folder.mkdir()
    (folder / "optuna.db.new").write_text("left by a kill")
    written = write_optuna_storage(made.plan, made.store, folder)
    assert written == folder / "optuna.db"
    assert os.listdir(folder) == ["optuna.db"]
    os.replace(written, tmp_path / "read.db")
    study = optuna.load_study(study_name="org/decoder/rte/lora", storage=f"sqlite:///{tmp_path / 'read.db'}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
    rows = made.rows()
    assert [trial.params for trial in study.trials] == [json.loads(row.values) for row in rows]
    assert [trial.value for trial in study.trials] == [0.6, None, 0.4, 0.8] or study.trials[2].value is None
    assert study.trials[3].intermediate_values == {1: 0.4, 2: 0.8}
    assert study.best_trial.number == study.user_attrs["selected trial"] == 3
    assert study.user_attrs["select job"] == made.jobs["rte-lora-select"].id


def test_a_storage_is_written_again_only_for_other_sweeps(made, tmp_path):
    made.whole()
    written = write_optuna_storage(made.plan, made.store, tmp_path)
    before = written.stat().st_mtime_ns
    assert write_optuna_storage(made.plan, made.store, tmp_path) == written
    assert written.stat().st_mtime_ns == before
    written.write_bytes(b"no database")
    write_optuna_storage(made.plan, made.store, tmp_path)
    assert len(optuna.load_study(study_name="org/decoder/rte/lora", storage=f"sqlite:///{written}").trials) == 4


def test_a_damaged_trial_or_choice_is_failed_with_what_is_wrong_and_hides_no_other(made):
    made.whole()
    file = made.store.artifact("trial", made.jobs["rte-lora-trial3"].id) / "trial.json"
    file.write_text("{}")
    rows = made.rows()
    assert [row.train_s for row in rows] == [2.0, None, 2.0, None]
    assert [row.score for row in rows] == [0.6, None, 0.4, 0.8], "the choice still knows them"
    choice = made.store.artifact("select", made.jobs["rte-lora-select"].id) / "selected.json"
    choice.write_text("{}")
    rows = made.rows()
    assert [row.state for row in rows] == ["complete", "failed", "pruned", "failed"]
    assert "trial.json has 2 bytes instead of" in rows[3].reason
    (summary,) = summarise_sweeps(made.plan, made.store)
    assert summary.chosen.startswith("no choice: artifact select/")
