"""Trackers hear of a study while it runs; one that hangs, fails or is not there changes nothing for the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from told_back import from_tensorboard
from tunescope.study.trackers import TensorboardTracker, Trackers, TrackioTracker, WandbTracker
from tunescope.trackers.exporter import Exporter, environment
from tunescope.trackers.live import LiveExport
from tunescope.trackers.tracker import TrackerError, open_tracker

BOARD = Trackers(tensorboard=TensorboardTracker())


def _board(study):
    return from_tensorboard(study.store.path / "exports" / "tensorboard" / "runs")


def _until(is_so, seconds=30.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)


def test_a_run_is_told_while_it_is_under_way_and_ends_as_the_store_has_it(study, log_entries):
    pytest.importorskip("tensorboard")
    id = study.id("rte-lora-seed1")
    study.under_way("rte-lora-seed1", log_entries(5))
    with LiveExport(study.plan, study.store, BOARD, every_s=0.1) as live:
        _until(lambda: id in _board(study) and len(_board(study)[id].curve("loss")) == 4)
        study.under_way("rte-lora-seed1", log_entries(4, first=6))
        _until(lambda: len(_board(study)[id].curve("loss")) == 8)
        study.train("rte-lora-seed1", log=log_entries(12), **study.selection(0.5))
        study.scored("rte-lora-seed1-evaluate", 0.25)
        exported, warnings = live.finish()
    assert warnings == []
    assert [done.tracker for done in exported] == ["tensorboard"]
    run = _board(study)[id]
    assert len(run.curve("loss")) == 12
    assert run.summary["scores/accuracy"] == 0.25


def test_a_study_without_trackers_starts_nothing(study):
    with LiveExport(study.plan, study.store, Trackers()) as live:
        assert live.finish() == ([], [])
    with LiveExport(study.plan, study.store, Trackers(wandb=WandbTracker(project="p", mode="disabled"))) as live:
        assert live.finish() == ([], [])
    assert not (study.store.path / "exports").exists()


def _stand_in(monkeypatch, folder: Path, code: str) -> None:
    """A package of Trackio's name that does this when imported."""
    (folder / "trackio").mkdir()
    (folder / "trackio" / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(folder))


def test_a_tracker_that_hangs_is_ended_in_time(study, monkeypatch, tmp_path):
    _stand_in(monkeypatch, tmp_path, "import time\ntime.sleep(1000)\n")
    began = time.monotonic()
    with LiveExport(study.plan, study.store, Trackers(trackio=TrackioTracker())) as live:
        assert time.monotonic() - began < 1.0
        began = time.monotonic()
        exported, warnings = live.finish(timeout_s=1.0)
    assert time.monotonic() - began < 5.0
    assert exported == []
    assert warnings == [
        "trackio: it was not done in time and was ended. The results are whole; to export them: "
        f"tunescope export {study.store.path}/studies/t --to trackio"
    ]


def test_a_tracker_that_fails_is_told_of_once_and_others_go_on(study, monkeypatch, tmp_path):
    pytest.importorskip("tensorboard")
    _stand_in(monkeypatch, tmp_path, "raise OSError('no route to host')\n")
    both = Trackers(tensorboard=TensorboardTracker(), trackio=TrackioTracker())
    with LiveExport(study.plan, study.store, both, every_s=0.1) as live:
        exported, warnings = live.finish()
    assert [done.tracker for done in exported] == ["tensorboard"]
    assert len(warnings) == 1
    assert "trackio: OSError: no route to host" in warnings[0]
    assert "no route to host" in (study.store.path / "exports" / "trackio" / "log.txt").read_text()


def test_a_tracker_that_dies_is_told_of(study, monkeypatch, tmp_path):
    _stand_in(monkeypatch, tmp_path, "import os\nos._exit(3)\n")
    with pytest.raises(TrackerError, match=r"trackio: its process died; its own words: .*log\.txt"):
        Exporter(study.asked(Trackers(trackio=TrackioTracker()))).finish()


def test_exports_that_cannot_be_written_are_a_warning(study):
    (study.store.path / "exports").write_text("a file")
    with LiveExport(study.plan, study.store, BOARD) as live:
        exported, warnings = live.finish()
    assert exported == []
    assert "tensorboard: " in warnings[0]


@pytest.mark.parametrize("settings", [*Trackers.model_fields])
def test_a_package_that_is_not_there_is_named_with_its_extra(settings, monkeypatch, tmp_path):
    from tunescope.trackers import tracker

    monkeypatch.setattr(tracker, "find_spec", lambda name: None)
    chosen = getattr(Trackers.model_validate({settings: {"project": "p"} if settings == "wandb" else {}}), settings)
    with pytest.raises(TrackerError, match=rf"is not installed: pip install 'tunescope\[{settings}\]'"):
        open_tracker(chosen, study="t", folder=tmp_path)


_DRIVER = """
import sys, time
from pathlib import Path
from tunescope.trackers.exporter import Exporter
from tunescope.trackers.serve import Asked
exporter = Exporter(Asked.model_validate_json(Path(sys.argv[1]).read_text()))
print(exporter._process.pid, flush=True)
time.sleep(1000)
"""


def test_when_the_command_is_killed_the_exporter_ends_by_itself(study, tmp_path, log_entries, losses):
    pytest.importorskip("tensorboard")
    asked = tmp_path / "asked.json"
    asked.write_text(study.asked(BOARD, every_s=60.0).model_dump_json())
    with subprocess.Popen([sys.executable, "-c", _DRIVER, str(asked)], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        exporter = int(driver.stdout.readline())
        _until(lambda: len(_board(study)) == 3)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    _until(lambda: not _is_running(exporter))
    done = Exporter(study.asked(BOARD)).finish()  # the next run finds the tracker free, and all told
    assert (done.num_told, done.num_unchanged) == (0, 3)
    assert _board(study)[study.id("rte-full-seed1")].curve("loss").keys() == losses(log_entries(12)).keys()


def _is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_exporter_that_was_killed_is_made_good(study, log_entries, losses):
    pytest.importorskip("tensorboard")
    exporter = Exporter(study.asked(BOARD, every_s=60.0))
    _until(lambda: (study.store.path / "exports" / "tensorboard" / "runs").exists())
    exporter.kill()
    done = Exporter(study.asked(BOARD)).finish()
    assert done.num_told + done.num_unchanged == 3
    assert len(_board(study)) == 3
    assert _board(study)[study.id("rte-full-seed2")].curve("loss").keys() == losses(log_entries(12)).keys()


def test_what_the_environment_says_of_runs_is_not_heard():
    given = {"WANDB_MODE": "disabled", "WANDB_RUN_ID": "x", "WANDB_API_KEY": "k", "PATH": "/bin"}
    heard = environment(given)
    assert {"WANDB_MODE", "WANDB_RUN_ID"}.isdisjoint(heard)
    assert (heard["WANDB_API_KEY"], heard["PATH"]) == ("k", "/bin")
    assert heard["MLFLOW_DISABLE_TELEMETRY"] == "true"
