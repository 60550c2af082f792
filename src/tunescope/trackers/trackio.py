"""Trackio: a local SQLite file per project. `TRACKIO_DIR=FOLDER trackio show --project PROJECT` shows it.

It has points and a config, and no summary: the summary's numbers are a last point, under `summary/`, and its words stand in
the config. Written through Trackio's own storage class, since `trackio.init` starts a web server.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunescope.study.trackers import TrackioTracker
from tunescope.trackers.told import ToldRun


class Trackio:
    """Runs by their ids in one project. Each point carries an id of its own, so that none can stand twice."""

    shows_unfinished = True

    def __init__(self, settings: TrackioTracker, *, study: str, folder: Path) -> None:
        place = (folder / "runs" if settings.folder is None else Path(settings.folder)).absolute()
        place.mkdir(parents=True, exist_ok=True)
        os.environ["TRACKIO_DIR"] = str(place)  # read once, when the package is first imported
        from trackio.sqlite_storage import SQLiteStorage
        from trackio.utils import TRACKIO_DIR

        assert Path(TRACKIO_DIR) == place, (
            f"Trackio was imported for {TRACKIO_DIR}, and is now asked to write in {place}"
        )
        self._storage = SQLiteStorage
        self._project = settings.project or study
        self._storage.validate_project_name(self._project)
        self.target = str(place / self._project)

    def has(self, run: ToldRun) -> bool:
        return self._storage.get_max_step_for_run(self._project, run_id=run.id) is not None

    def tell(self, run: ToldRun, num_there: int) -> None:
        first = 0 if run.is_over else num_there
        if not first:
            self._storage.delete_run(self._project, run.name, run_id=run.id)
        logs = [(point.step, point.at_s, dict(point.values), str(point.step)) for point in run.points[first:]]
        config: dict[str, Any] = dict(run.config) | {"kind": run.kind, "study": run.study, "tags": list(run.tags)}
        if run.is_over:
            numbers = {f"summary/{name}": value for name, value in run.summary.items() if not isinstance(value, str)}
            logs.append((run.points[-1].step if run.points else 0, run.duration_s, numbers, "summary"))
            config |= {f"summary/{name}": value for name, value in run.summary.items() if isinstance(value, str)}
        self._storage.bulk_log(
            self._project,
            run.name,
            [values for _, _, values, _ in logs],
            steps=[step for step, _, _, _ in logs],
            timestamps=[datetime.fromtimestamp(run.started_s + at_s, UTC).isoformat() for _, at_s, _, _ in logs],
            log_ids=[f"{run.id}:{name}" for _, _, _, name in logs],
            config=config,
            run_id=run.id,
        )

    def close(self) -> None:
        return None
