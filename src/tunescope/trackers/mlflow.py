"""MLflow: runs of an experiment, found again by their tag `tunescope.job_id`. `mlflow ui --backend-store-uri URI` shows them.

Points are metrics with their steps; the summary's numbers are metrics under `summary/` at the last step, its words tags
`tunescope.summary.*`; the config is the parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunescope.study.trackers import MlflowTracker
from tunescope.trackers.told import ToldRun

JOB_TAG = "tunescope.job_id"
_STATUS = {"done": "FINISHED", "failed": "FAILED", "unfinished": "RUNNING"}
_BATCH_METRICS, _BATCH_REST = 1000, 100
"""What MLflow takes at once."""


class Mlflow:
    """Runs are added to as long as what they were told still holds; else they are deleted, and told anew."""

    shows_unfinished = True

    def __init__(self, settings: MlflowTracker, *, study: str, folder: Path) -> None:
        from mlflow.tracking import MlflowClient

        own = (folder / "mlflow.db").absolute()
        uri = settings.tracking_uri or f"sqlite:///{own}"
        self._client = MlflowClient(tracking_uri=uri)
        name = settings.experiment or study
        known = self._client.get_experiment_by_name(name)
        if known is None:
            files = None if settings.tracking_uri else (folder / "artifacts").absolute().as_uri()
            self._experiment = self._client.create_experiment(name, artifact_location=files)
        else:
            if known.lifecycle_stage == "deleted":
                self._client.restore_experiment(known.experiment_id)
            self._experiment = known.experiment_id
        self.target = f"{uri} {name}"

    def has(self, run: ToldRun) -> bool:
        return bool(self._there(run))

    def tell(self, run: ToldRun, num_there: int) -> None:
        there = self._there(run)
        if not num_there or len(there) != 1 or not self._still_holds(there[0], run):
            for one in there:
                self._client.delete_run(one.info.run_id)
            num_there = 0
            there = [self._created(run)]
        id = there[0].info.run_id
        self._tell_points(id, run, num_there)
        self._tell_rest(id, run, there[0])
        if run.is_over:
            self._client.set_terminated(id, _STATUS[run.status], round(1000 * (run.started_s + run.duration_s)))
        elif there[0].info.status != "RUNNING":
            self._client.update_run(id, status="RUNNING")

    def close(self) -> None:
        return None

    def _there(self, run: ToldRun) -> list[Any]:
        return list(self._client.search_runs([self._experiment], f"tags.`{JOB_TAG}` = '{run.id}'"))

    def _created(self, run: ToldRun) -> Any:
        return self._client.create_run(
            self._experiment, round(1000 * run.started_s), tags={JOB_TAG: run.id}, run_name=run.name
        )

    def _still_holds(self, there: Any, run: ToldRun) -> bool:
        """Whether all of the config and summary that is there is still said: MLflow changes neither."""
        params, metrics = self._params(run), dict(_numbers(run))
        kept = {name: value for name, value in there.data.metrics.items() if name.startswith("summary/")}
        return there.data.params.items() <= params.items() and kept.items() <= metrics.items()

    def _params(self, run: ToldRun) -> dict[str, str]:
        from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

        return {name: str(value)[:MAX_PARAM_VAL_LENGTH] for name, value in run.config.items() if str(value)}

    def _tell_points(self, id: str, run: ToldRun, num_there: int) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, float(value), round(1000 * (run.started_s + point.at_s)), point.step)
            for point in run.points[num_there:]
            for name, value in point.values.items()
        ]
        for start in range(0, len(metrics), _BATCH_METRICS):
            self._client.log_batch(id, metrics=metrics[start : start + _BATCH_METRICS])

    def _tell_rest(self, id: str, run: ToldRun, there: Any) -> None:
        from mlflow.entities import Metric, Param, RunTag

        last, end_ms = (run.points[-1].step if run.points else 0), round(1000 * (run.started_s + run.duration_s))
        params = [Param(name, value) for name, value in self._params(run).items() if name not in there.data.params]
        for start in range(0, len(params), _BATCH_REST):
            self._client.log_batch(id, params=params[start : start + _BATCH_REST])
        metrics = [
            Metric(name, value, end_ms, last)
            for name, value in (_numbers(run) if run.is_over else ())
            if name not in there.data.metrics
        ]
        words = {
            f"tunescope.summary.{name}": str(value) for name, value in run.summary.items() if isinstance(value, str)
        }
        words |= {"tunescope.study": run.study, "tunescope.kind": run.kind, "tunescope.tags": ", ".join(run.tags)}
        tags = [RunTag(name, value) for name, value in words.items()]
        self._client.log_batch(id, metrics=metrics, tags=tags)


def _numbers(run: ToldRun) -> Iterator[tuple[str, float]]:
    """The summary's numbers by the names of their metrics."""
    for name, value in run.summary.items():
        if not isinstance(value, str):
            yield f"summary/{name}", float(value)
