"""What trackers hold, read back with their own libraries: shared by the tests that tell them something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Held:
    """One run as a tracker holds it."""

    name: str
    config: dict[str, Any]
    summary: dict[str, Any]
    points: list[tuple[int, str, float]] = field(default_factory=list)
    """Every single number that was logged: step, name, value; twice if it stands twice."""
    about: dict[str, Any] = field(default_factory=dict)

    def curve(self, name: str) -> dict[int, float]:
        """One metric by step, each step once."""
        found = [(step, value) for step, key, value in self.points if key == name]
        assert len(dict(found)) == len(found), f"{self.name}: steps of {name} stand twice"
        return dict(found)


def from_wandb(folder: Path) -> dict[str, Held]:
    """Offline runs below `folder`, by id, from their transaction logs; a run in two folders is an error."""
    found: dict[str, Held] = {}
    for log in sorted(folder.rglob("*.wandb")):
        id, held = _wandb_run(log)
        assert id not in found, f"{id} has two folders"
        found[id] = held
    return found


def _wandb_run(log: Path) -> tuple[str, Held]:
    from wandb.proto.wandb_internal_pb2 import Record

    held, id = Held("", {}, {}), ""
    for block in _blocks(log.read_bytes()):
        record = Record.FromString(block)
        said = record.WhichOneof("record_type")
        if said == "run":
            run = record.run
            id, held.name = run.run_id, run.display_name
            tags = list(run.tags)
            held.about |= {"project": run.project, "entity": run.entity, "group": run.run_group, "tags": tags}
            held.about |= {"job_type": run.job_type, "host": run.host, "raw": log.read_bytes()}
            held.config |= {item.key: json.loads(item.value_json) for item in run.config.update}
        elif said == "history":
            values = {
                ".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item
            }
            step = values.get("_step", record.history.step.num)
            held.points += [(step, name, value) for name, value in values.items() if not name.startswith("_")]
        elif said == "summary":
            held.summary |= {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.summary.update}
        elif said == "exit":
            held.about["exit_code"] = record.exit.exit_code
        elif said == "artifact":
            held.about["artifact"] = sorted(entry.path for entry in record.artifact.manifest.contents)
    return id, held


def _blocks(content: bytes) -> list[bytes]:
    """The records of a LevelDB log, which is what a .wandb file is after seven bytes that name it; checksums left alone."""
    assert content[:4] == b":W&B"
    at, size, records, parts = 7, 32768, [], b""
    while at < len(content):
        left = size - at % size
        if left < 7:  # a trailer of zeros
            at += left
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # full, last
            records.append(parts)
            parts = b""
    return records


def from_mlflow(uri: str, experiment: str) -> dict[str, Held]:
    """Active runs of an experiment, by our job's id."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = {}
    for run in client.search_runs([client.get_experiment_by_name(experiment).experiment_id]):
        id = run.data.tags["tunescope.job_id"]
        assert id not in found, f"{id} stands twice"
        summary = {
            name.removeprefix("summary/"): value for name, value in run.data.metrics.items() if "summary/" in name
        }
        held = Held(run.info.run_name, run.data.params, summary, about={"status": run.info.status} | run.data.tags)
        for name in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, name)
            held.points += [(metric.step, name, metric.value) for metric in history]
        found[id] = held
    return found


def from_tensorboard(folder: Path) -> dict[str, Held]:
    """Runs below `folder`, by our job's id, the end of their folders' names."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = {}
    for run in sorted({file.parent for file in folder.rglob("events.out.tfevents.*")}):
        name, _, id = run.name.rpartition("-")
        assert id not in found, f"{id} has two folders"
        read = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
        read.Reload()
        held = Held(name, {}, {}, about={"study": run.parent.name})
        for tag in read.Tags()["scalars"]:
            for event in read.Scalars(tag):
                held.points.append((event.step, tag, event.value))
                if tag.startswith("summary/"):
                    held.summary[tag.removeprefix("summary/")] = event.value
        for tag in read.Tags()["tensors"]:
            if tag in ("config", "about"):
                held.about[tag] = read.Tensors(tag)[0].tensor_proto.string_val[0].decode()
        for content in (
            read.PluginTagToContent("hparams").values() if "hparams" in read._plugin_to_tag_to_content else ()
        ):
            start = HParamsPluginData.FromString(content).session_start_info
            held.config |= {key: getattr(value, value.WhichOneof("kind")) for key, value in start.hparams.items()}
        found[id] = held
    return found


_READ_TRACKIO = """
import json, sys
from trackio.sqlite_storage import SQLiteStorage as storage
project, found = sys.argv[1], {}
for run in storage.get_run_records(project):
    id, name = run["id"], run["name"]
    found[id] = [name, storage.get_run_config(project, run_id=id), storage.get_logs(project, run_id=id)]
print("found" + json.dumps(found))
"""


def from_trackio(folder: Path, project: str) -> dict[str, Held]:
    """Runs of a project, by id; in a process of its own, since the package reads one folder all its life."""
    out = subprocess.run(
        [sys.executable, "-c", _READ_TRACKIO, project],
        env=os.environ | {"TRACKIO_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {}
    for id, (name, config, logs) in json.loads(out.rpartition("found")[2]).items():
        held = Held(name, config, {})
        for log in logs:
            for key, value in log.items():
                if key.startswith("summary/"):
                    held.summary[key.removeprefix("summary/")] = value
                elif key not in ("step", "timestamp"):
                    held.points.append((log["step"], key, value))
        found[id] = held
    return found
