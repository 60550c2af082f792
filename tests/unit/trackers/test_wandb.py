"""What W&B writes offline, and what a server is sent, is what the store holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from told_back import from_wandb
from tunescope.study.trackers import Trackers, WandbTracker
from wandb_server import wandb_server

pytest.importorskip("wandb")
TRACKERS = Trackers(wandb=WandbTracker(project="p", entity="us", tags=("mine",)))
ONLINE = Trackers(wandb=WandbTracker(project="p", entity="us", group="g", mode="online"))


@pytest.fixture
def server(monkeypatch, tmp_path):
    with wandb_server() as held:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{held.port}")
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("HOME", str(tmp_path))
        yield held


def _folder(study):
    return study.store.path / "exports" / "wandb" / "us--p" / "wandb"


def test_every_loss_config_and_score_is_read_back(study, export, log_entries, losses):
    done = export(TRACKERS)
    assert (done.num_told, done.num_unchanged) == (3, 0)
    assert done.shown_by == f"wandb sync {_folder(study)}"
    held = from_wandb(_folder(study))
    assert held.keys() == {study.id(label) for label in ("rte-full-seed1", "rte-full-seed2", "rte-majority")}
    run = held[study.id("rte-full-seed1")]
    assert run.curve("loss") == losses(log_entries(12))
    assert run.curve("selection/accuracy") == {4: 0.25, 8: 0.5, 12: 0.75}
    assert run.summary["scores/accuracy"] == 0.75
    assert run.summary["status"] == "done"
    assert run.config["run.seed"] == 1
    assert run.config["in_force.optimiser"] == "AdamW"
    told = {name: run.about[name] for name in ("project", "entity", "group", "job_type", "exit_code", "host")}
    assert told == {"project": "p", "entity": "us", "group": "t", "job_type": "train", "exit_code": 0, "host": ""}
    assert run.about["tags"] == ["train", "task:rte", "method:full", "base_model:org/decoder", "mine"]
    assert run.name == "rte-full-seed1"


def test_a_run_told_again_has_one_folder(study, export, log_entries, losses):
    study.under_way("rte-lora-seed1", log_entries(8))
    export(TRACKERS)
    before = sorted(_folder(study).glob("offline-run-*"))
    assert export(TRACKERS).num_unchanged == 4
    assert sorted(_folder(study).glob("offline-run-*")) == before
    entries = [*log_entries(5), *log_entries(7, first=6, seed=2)]
    study.train("rte-lora-seed1", log=entries, **study.selection(0.5))
    study.scored("rte-full-seed2-evaluate", 0.25)
    assert export(TRACKERS).num_told == 2
    held = from_wandb(_folder(study))  # which refuses two folders of one run
    assert len(held) == 4
    assert held[study.id("rte-lora-seed1")].curve("loss") == losses(entries)
    assert held[study.id("rte-full-seed2")].summary["scores/accuracy"] == 0.25


def test_secrets_and_the_host_are_not_written(study, export, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t" * 7)
    monkeypatch.setenv("HF_TOKEN", "hf_s3cr3t")
    export(TRACKERS)
    for file in (study.store.path / "exports").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"s3cr3t" not in content, file
            if file.suffix == ".wandb":
                assert os.uname().nodename.encode() not in content or len(os.uname().nodename) < 4


def test_adapters_go_along_by_choice(study, export):
    job = study.jobs["rte-lora-seed1"]
    files = {"adapter/adapter_model.safetensors": b"small", "log.jsonl": '{"event": "step", "step": 1, "loss": 1.0}\n'}
    study.commit(job.label, {"settings_in_force": {}}, files)
    chosen = TRACKERS.wandb.model_copy(update={"artifacts": "adapters"})
    export(Trackers(wandb=chosen))
    held = from_wandb(_folder(study))
    assert held[job.id].about["artifact"] == ["adapter/adapter_model.safetensors"]
    assert "artifact" not in held[study.id("rte-full-seed1")].about


def test_what_is_synced_arrives_once(study, export, server, log_entries, losses, tmp_path):
    export(TRACKERS)
    _sync(study)
    study.scored("rte-full-seed2-evaluate", 0.25)
    export(TRACKERS)  # one run is told again: its folder is new, and is sent again
    _sync(study)
    assert server.runs.keys() == {study.id(label) for label in ("rte-full-seed1", "rte-full-seed2", "rte-majority")}
    run = server.runs[study.id("rte-full-seed2")]
    assert run.curve("loss") == losses(log_entries(12, seed=2))
    assert run.summary["scores/accuracy"] == 0.25


def _sync(study):
    subprocess.run(
        [Path(sys.executable).with_name("wandb"), "sync", _folder(study)],
        env={name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"},
        check=True,
        capture_output=True,
        timeout=60,
    )


def test_online_a_server_holds_each_run_once(study, export, server, log_entries, losses):
    study.under_way("rte-lora-seed1", log_entries(8))
    assert export(ONLINE).num_told == 4
    cut_off = server.runs[study.id("rte-lora-seed1")]
    assert (len(cut_off.curve("loss")), cut_off.exit_code) == (7, 255)
    study.train("rte-lora-seed1", log=log_entries(12), **study.selection(0.5))
    study.scored("rte-full-seed2-evaluate", 0.25)
    assert export(ONLINE).num_told == 2
    assert export(ONLINE).num_unchanged == 4
    gone_on = server.runs[study.id("rte-lora-seed1")]
    assert gone_on.curve("loss") == losses(log_entries(12))
    assert gone_on.exit_code == 0
    assert gone_on.about["groupName"] == "g"
    assert gone_on.config["in_force.optimiser"] == "AdamW"
    assert server.runs[study.id("rte-full-seed2")].summary["scores/accuracy"] == 0.25
    assert server.runs[study.id("rte-full-seed2")].curve("loss") == losses(log_entries(12, seed=2))
