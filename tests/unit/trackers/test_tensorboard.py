"""What TensorBoard reads is what the store holds."""

from __future__ import annotations

import numpy as np
import pytest

from told_back import from_tensorboard
from tunescope.study.trackers import TensorboardTracker, Trackers

pytest.importorskip("tensorboard")
TRACKERS = Trackers(tensorboard=TensorboardTracker())


def _held(study):
    return from_tensorboard(study.store.path / "exports" / "tensorboard" / "runs")


def test_every_loss_config_and_score_is_read_back(study, export, log_entries, losses):
    done = export(TRACKERS)
    assert (done.num_told, done.num_unchanged) == (3, 0)
    assert done.shown_by == f"tensorboard --logdir {study.store.path}/exports/tensorboard/runs"
    held = _held(study)
    assert held.keys() == {study.id(label) for label in ("rte-full-seed1", "rte-full-seed2", "rte-majority")}
    run = held[study.id("rte-full-seed1")]
    expected = {step: float(np.float32(loss)) for step, loss in losses(log_entries(12)).items()}
    assert run.curve("loss") == expected
    assert run.curve("selection/accuracy") == {4: 0.25, 8: 0.5, 12: 0.75}
    assert run.summary["scores/accuracy"] == 0.75
    assert run.config["run.seed"] == 1
    assert run.config["in_force.optimiser"] == "AdamW"
    assert "| training.batch_size | " in run.about["config"]
    assert f"| id | {study.id('rte-full-seed1')} |" in run.about["about"]
    assert (run.name, run.about["study"]) == ("rte-full-seed1", "t")


def test_a_second_export_changes_no_file(study, export):
    export(TRACKERS)
    folder = study.store.path / "exports" / "tensorboard" / "runs"
    files = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    assert export(TRACKERS).num_unchanged == 3
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == files


def test_a_run_cut_off_and_gone_on_with_appears_once(study, export, log_entries, losses):
    study.under_way("rte-lora-seed1", log_entries(8))
    export(TRACKERS)
    entries = [*log_entries(5), *log_entries(7, first=6, seed=2)]  # resumed at step 5, and otherwise from there
    study.train("rte-lora-seed1", log=entries, **study.selection(0.5))
    export(TRACKERS)
    run = _held(study)[study.id("rte-lora-seed1")]
    assert run.curve("loss") == {step: float(np.float32(loss)) for step, loss in losses(entries).items()}


def test_runs_go_where_the_study_says(study, export, tmp_path):
    export(Trackers(tensorboard=TensorboardTracker(folder=str(tmp_path / "board"))))
    assert len(from_tensorboard(tmp_path / "board")) == 3
