"""`tunescope export`: a real small study told to trackers by the command, and read back with their own libraries."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from told_back import from_tensorboard, from_wandb


@pytest.fixture
def store(finished):
    """The store of a study that has run."""
    return finished.store


def _losses(store):
    """Training job -> step -> loss, from the store's own logs."""
    found = {}
    for log in store.glob("artifacts/train/*/log.jsonl"):
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        found[log.parent.name] = {entry["step"]: entry["loss"] for entry in entries if entry["event"] == "step"}
    return found


def test_tensorboard_shows_every_run_with_its_losses_and_scores(finished, store):
    pytest.importorskip("tensorboard")
    said = finished.tunescope("export", finished.path, "--store", store, "--to", "tensorboard")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[-2].startswith("tensorboard: 14 runs told, 0 unchanged (")
    folder = store / "exports" / "tensorboard" / "runs"
    assert lines[-1] == f"tensorboard --logdir {folder}"
    held = from_tensorboard(folder)
    expected = _losses(store)
    assert len(expected) == 8
    for id, losses in expected.items():
        assert held[id].curve("loss") == {step: float(np.float32(loss)) for step, loss in losses.items()}
    scores = {
        row["train_job"]: row["value"] for row in finished.rows() if row["metric"] == "accuracy" and row["train_job"]
    }
    for id, value in scores.items():
        assert held[id].summary["scores/accuracy"] == float(np.float32(value))
    again = finished.tunescope("export", store, "--to", "tensorboard")
    assert again.out.splitlines()[-2].startswith("tensorboard: 0 runs told, 14 unchanged (")


def test_wandb_offline_needs_no_network_and_no_key(finished, store, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    said = finished.tunescope("export", store, "--to", "wandb", "--mode", "offline")
    assert said.code == 0, said.err
    folder = store / "exports" / "wandb" / "small" / "wandb"
    assert said.out.splitlines()[-1] == f"wandb sync {folder}"
    held = from_wandb(folder)
    for id, losses in _losses(store).items():
        assert held[id].curve("loss") == losses
        assert held[id].about["group"] == "small"
    assert (
        finished.tunescope("export", store, "--to", "wandb").out.splitlines()[-2].startswith("wandb: 0 runs told, 14")
    )


def test_disabled_does_nothing(finished, store, tmp_path):
    said = finished.tunescope("export", store, "--to", "wandb", "--mode", "disabled")
    assert (said.code, said.out) == (0, "wandb is disabled: nothing was told\n")


@pytest.mark.parametrize(
    "words,told",
    [
        (["--to", "mlflow", "--mode", "offline"], "--mode offline: mlflow has no modes; they are W&B's."),
        (["--to", "nowhere"], "invalid choice: 'nowhere'"),
        ([], "the following arguments are required: --to"),
    ],
)
def test_what_makes_no_sense_is_refused(finished, store, words, told):
    said = finished.tunescope("export", store, *words)
    assert said.code == 2
    assert told in said.err


def test_a_study_that_names_trackers_tells_them_as_it_runs_and_a_broken_one_costs_a_warning(
    finished, store, study, monkeypatch, tmp_path
):
    pytest.importorskip("tensorboard")
    broken = tmp_path / "packages" / "trackio"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise OSError('no route to host')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(broken.parent), os.environ.get("PYTHONPATH", "")]))
    finished.write(study | {"trackers": {"tensorboard": {}, "trackio": {}}})
    evaluation = next(record["id"] for record in finished.records().values() if record["kind"] == "evaluate")
    assert finished.tunescope("forget", evaluation, "--store", store).code == 0
    said = finished.run()
    assert said.code == 0, said
    held = from_tensorboard(store / "exports" / "tensorboard" / "runs")
    assert {id: run.curve("loss").keys() for id, run in held.items() if id in _losses(store)} == {
        id: losses.keys() for id, losses in _losses(store).items()
    }
    told = " ".join((said.out + said.err).split())
    assert told.count("trackio: OSError: no route to host") == 1
    assert f"tunescope export {store}/studies/small --to trackio" in told
