"""What Trackio's storage reads is what the store holds."""

from __future__ import annotations

import pytest

from told_back import from_trackio
from tunescope.study.trackers import Trackers, TrackioTracker

pytest.importorskip("trackio")
TRACKERS = Trackers(trackio=TrackioTracker())


def _held(study, project="t"):
    return from_trackio(study.store.path / "exports" / "trackio" / "runs", project)


def test_every_loss_config_and_score_is_read_back_and_told_once(study, export, log_entries, losses):
    done = export(TRACKERS)
    assert (done.num_told, done.num_unchanged) == (3, 0)
    assert done.shown_by == f"TRACKIO_DIR={study.store.path}/exports/trackio/runs trackio show --project t"
    held = _held(study)
    assert held.keys() == {study.id(label) for label in ("rte-full-seed1", "rte-full-seed2", "rte-majority")}
    run = held[study.id("rte-full-seed1")]
    assert run.name == "rte-full-seed1"
    assert run.curve("loss") == losses(log_entries(12))
    assert run.curve("selection/accuracy") == {4: 0.25, 8: 0.5, 12: 0.75}
    assert run.summary["scores/accuracy"] == 0.75
    assert run.config["run.seed"] == 1
    assert run.config["summary/status"] == "done"
    assert export(TRACKERS).num_unchanged == 3
    assert _held(study) == held


def test_a_run_cut_off_and_gone_on_with_appears_once(study, export, log_entries, losses):
    study.under_way("rte-lora-seed1", log_entries(8))
    export(TRACKERS)
    assert len(_held(study)[study.id("rte-lora-seed1")].curve("loss")) == 7
    entries = [*log_entries(5), *log_entries(7, first=6, seed=2)]
    study.train("rte-lora-seed1", log=entries, **study.selection(0.5))
    export(TRACKERS)
    assert _held(study)[study.id("rte-lora-seed1")].curve("loss") == losses(entries)


def test_a_project_of_its_own(study, export):
    export(Trackers(trackio=TrackioTracker(project="mine")))
    assert len(_held(study, "mine")) == 3
