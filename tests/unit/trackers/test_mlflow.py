"""What MLflow's client reads is what the store holds."""

from __future__ import annotations

import shutil

import pytest

from told_back import from_mlflow
from tunescope.study.trackers import MlflowTracker, Trackers

pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")
TRACKERS = Trackers(mlflow=MlflowTracker())


@pytest.fixture(scope="module")
def empty_file(tmp_path_factory):
    """MLflow takes seconds to make its tables: once for all tests here."""
    from mlflow.tracking import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(autouse=True)
def _made_already(empty_file, study):
    folder = study.store.path / "exports" / "mlflow"
    folder.mkdir(parents=True)
    shutil.copyfile(empty_file, folder / "mlflow.db")


def _uri(study):
    return f"sqlite:///{study.store.path}/exports/mlflow/mlflow.db"


def test_every_loss_config_and_score_is_read_back_and_told_once(study, export, log_entries, losses):
    done = export(TRACKERS)
    assert (done.num_told, done.num_unchanged) == (3, 0)
    assert done.shown_by == f"mlflow ui --backend-store-uri {_uri(study)}"
    held = from_mlflow(_uri(study), "t")
    assert held.keys() == {study.id(label) for label in ("rte-full-seed1", "rte-full-seed2", "rte-majority")}
    run = held[study.id("rte-full-seed1")]
    assert run.curve("loss") == losses(log_entries(12))
    assert run.curve("selection/accuracy") == {4: 0.25, 8: 0.5, 12: 0.75}
    assert run.summary["scores/accuracy"] == 0.75
    assert run.config["run.seed"] == "1"
    assert run.config["in_force.optimiser"] == "AdamW"
    assert (run.name, run.about["status"], run.about["tunescope.study"]) == ("rte-full-seed1", "FINISHED", "t")
    assert run.about["tunescope.tags"] == "train, task:rte, method:full, base_model:org/decoder"

    assert export(TRACKERS).num_unchanged == 3
    assert {id: again.points for id, again in from_mlflow(_uri(study), "t").items()} == {
        id: once.points for id, once in held.items()
    }


def test_runs_are_added_to_or_replaced_and_stand_once(study, export, log_entries, losses):
    study.under_way("rte-lora-seed1", log_entries(6))
    study.under_way("rte-lora-seed2", log_entries(8))
    export(TRACKERS)
    assert from_mlflow(_uri(study), "t")[study.id("rte-lora-seed1")].about["status"] == "RUNNING"
    gone_on = log_entries(12)
    otherwise = [*log_entries(5), *log_entries(7, first=6, seed=2)]
    study.train("rte-lora-seed1", log=gone_on, **study.selection(0.5))
    study.train("rte-lora-seed2", log=otherwise, **study.selection(0.5))
    study.scored("rte-full-seed2-evaluate", 0.25)
    assert export(TRACKERS).num_told == 3
    held = from_mlflow(_uri(study), "t")
    assert held[study.id("rte-lora-seed1")].curve("loss") == losses(gone_on)
    assert held[study.id("rte-lora-seed2")].curve("loss") == losses(otherwise)
    assert held[study.id("rte-full-seed2")].summary["scores/accuracy"] == 0.25
    assert held[study.id("rte-full-seed2")].curve("loss") == losses(log_entries(12, seed=2))


def test_a_failed_run_is_failed(study, export):
    study.fail("rte-lora-seed1", "loss is not finite", 7.0)
    export(Trackers(mlflow=MlflowTracker(experiment="mine")))
    run = from_mlflow(_uri(study), "mine")[study.id("rte-lora-seed1")]
    assert run.about["status"] == "FAILED"
    assert run.about["tunescope.summary.failure/reason"] == "loss is not finite"
