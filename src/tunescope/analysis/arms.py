"""Runs of one method -> what a comparison takes of them: their scores by seed and example, or why they are no sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunescope.analysis.collect import state_of_run
from tunescope.inference.example_scores import example_components
from tunescope.stats.arm import Arm
from tunescope.store import Store
from tunescope.study.plan import RunCell
from tunescope.tasks.spec import TaskSpec

PREDICTIONS_NAME = "predictions.parquet"


def why_missing(run: RunCell, store: Store) -> str:
    """Why a run has no scores; empty where it has."""
    state, reason = state_of_run(run, store)
    return "" if state == "done" else f"{run.method} seed {run.seed}: {reason}"


def twins(runs: Sequence[RunCell], store: Store) -> str:
    """Why runs of one method are no sample of seeds; empty where every seed ended with weights of its own."""
    weights = [store.record(run.train.kind, run.train.id).facts.get("weights_sha256") for run in runs]
    alike = [run for run, own in zip(runs, weights, strict=True) if own is not None and weights.count(own) > 1]
    if not alike:
        return ""
    seeds = ", ".join(str(run.seed) for run in alike)
    return (
        f"seeds {seeds} of {runs[0].method} ended with identical weights: the seed had no effect, and they are one run"
    )


def arm_of_runs(runs: Sequence[RunCell], store: Store, task: TaskSpec, metric: str) -> Arm:
    """A method's components by seed and example, from the predictions kept with each evaluation.

    Raises:
        ValueError: If seeds were scored on different examples.
    """
    import pyarrow.parquet as pq

    ids: tuple[str, ...] | None = None
    layers = []
    for run in runs:
        folder = store.read_from(run.evaluate.kind, run.evaluate.id, PREDICTIONS_NAME)
        table = pq.read_table(folder / PREDICTIONS_NAME)
        own = tuple(str(value) for value in table["id"].to_pylist())
        targets, predictions = table["target"].to_pylist(), table["prediction"].to_pylist()
        if task.kind == "classification":
            label_ids = {label: number for number, label in enumerate(task.labels)}
            targets = [label_ids[label] for label in targets]
            predictions = [label_ids[label] for label in predictions]
        ids = own if ids is None else ids
        if own != ids:
            raise ValueError(f"seed {run.seed} of {run.method} was scored on other examples than seed {runs[0].seed}")
        layers.append(example_components(task, metric, targets, predictions))
    assert ids is not None
    return Arm(seeds=tuple(run.seed for run in runs), example_ids=ids, components=np.stack(layers))
