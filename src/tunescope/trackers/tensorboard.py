"""TensorBoard: a folder of event files per run. `tensorboard --logdir FOLDER` shows them.

Scalars have the logs' names, floats as float32; the summary's numbers stand at the last step under `summary/`, its words
and the config as texts; the config is the run's hyperparameters, too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunescope.study.trackers import TensorboardTracker
from tunescope.trackers.told import Plain, ToldRun


class Tensorboard:
    """Runs as FOLDER/STUDY/LABEL-ID. A run that is over is written anew; one under way gets an event file more each time."""

    shows_unfinished = True

    def __init__(self, settings: TensorboardTracker, *, study: str, folder: Path) -> None:
        self._root = (folder / "runs" if settings.folder is None else Path(settings.folder)).absolute()
        self.target = str(self._root)

    def has(self, run: ToldRun) -> bool:
        return any(self._folder(run).glob("events.out.tfevents.*"))

    def tell(self, run: ToldRun, num_there: int) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        first = 0 if run.is_over else num_there
        if not first:
            self._remove(run)
        writer = EventFileWriter(str(self._folder(run)), max_queue_size=1000)
        for event in self._events(run, first):
            writer.add_event(event)
        writer.close()

    def close(self) -> None:
        return None

    def _events(self, run: ToldRun, first: int) -> Iterator[Any]:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        def scalars(values: dict[str, float], step: int, at_s: float) -> Any:
            parts = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            return Event(wall_time=at_s, step=step, summary=Summary(value=parts))

        for point in run.points[first:]:
            yield scalars(dict(point.values), point.step, run.started_s + point.at_s)
        if not run.is_over:
            return
        last, end_s = (run.points[-1].step if run.points else 0), run.started_s + run.duration_s
        numbers = {f"summary/{name}": float(value) for name, value in run.summary.items() if not isinstance(value, str)}
        yield scalars(numbers, last, end_s)
        hyperparameters = hparams_pb(dict(run.config), trial_id=run.id, start_time_secs=run.started_s)
        yield Event(wall_time=run.started_s, summary=Summary.FromString(hyperparameters.SerializeToString()))
        about: dict[str, Plain] = {
            "id": run.id,
            "name": run.name,
            "kind": run.kind,
            "study": run.study,
            "tags": json.dumps(run.tags),
        }
        words: dict[str, Plain] = {name: value for name, value in run.summary.items() if isinstance(value, str)}
        for tag, table in (("config", dict(run.config)), ("about", about | words)):
            yield Event(wall_time=end_s, step=last, summary=Summary(value=[_text(tag, table)]))

    def _folder(self, run: ToldRun) -> Path:
        return self._root / run.study / f"{run.name}-{run.id}"

    def _remove(self, run: ToldRun) -> None:
        """The run's folder, whatever it was called."""
        for folder in (self._root / run.study).glob(f"*-{run.id}"):
            shutil.rmtree(folder)


def _text(tag: str, table: dict[str, Plain]) -> Any:
    """A table as a text summary: TensorBoard shows it as Markdown."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text.metadata import create_summary_metadata

    rows = [f"| {name} | {_cell(value)} |" for name, value in table.items()]
    text = "\n".join(("| name | value |", "|---|---|", *rows))
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=TensorShapeProto())
    return Summary.Value(tag=tag, tensor=tensor, metadata=create_summary_metadata(display_name=tag, description=""))


def _cell(value: Plain) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
