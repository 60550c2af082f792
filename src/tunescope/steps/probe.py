"""What the states of a model trained on one task still say of another: a linear probe, the model frozen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tunescope.drift.kept import PROBE_NAME
from tunescope.errors import RunError
from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.models.network import load_network
from tunescope.models.saving import load_tuned
from tunescope.representations.last_state import last_state
from tunescope.similarity.linear_probe import STRENGTHS, linear_probe
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.inputs import Part, encoded_part, report_data, training_data
from tunescope.study.configs import ProbeConfig

_SEED = 0
"""Draws the folds, the same for every model."""


def run(
    config: ProbeConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `probe.parquet`: each report row's label and the one that the probe gives it."""
    use_threads(context.num_threads)
    began = time.perf_counter()
    task = config.task
    training, reporting = training_data(task, context.source), report_data(task, context.source)
    train, report = training.train, reporting.report
    folder = context.source.model_folder(config.base_model.name, config.base_model.revision)
    network = load_network(  # the head, which nothing here reads, is the run's own, so that its weights fit
        config.base_model,
        folder,
        task_kind=config.run_kind or task.kind,
        num_labels=config.run_labels or len(task.labels),
        seed=0,
    )
    model = load_tuned(network, inputs["run"]) if "run" in inputs else network.model
    model.to(torch.device(context.device))

    def states(part: Part, ids: tuple[str, ...]) -> tuple[str, np.ndarray]:
        encoded = encoded_part(task, part, config.base_model, context.source, is_decoder=network.is_decoder)
        batch_tokens = context.compute.evaluation_batch_tokens
        return last_state(model, network, encoded, how=config.pooling, batch_tokens=batch_tokens, ids=ids)

    state, fitted_on = states("train", train.ids)
    _, scored_on = states("report", report.ids)
    try:
        probe = linear_probe(fitted_on, train.numbers, scored_on, report.numbers, seed=_SEED)
    except ValueError as error:
        raise RunError(
            f"probe of {task.name} in {state} ({config.pooling}) of {config.base_model.name}: {error} "
            f"Its {len(train)} train rows come from retention.probe_examples and the task's max_train, its pooling from "
            f"retention.probe_pooling."
        ) from error
    pq.write_table(
        pa.table(
            {
                "id": list(report.ids),
                "target": [task.labels[number] for number in report.numbers],
                "prediction": [task.labels[number] for number in probe.predicted],
                "correct": probe.predicted == report.numbers,
            }
        ),
        out / PROBE_NAME,
        compression="zstd",
    )
    return {
        "accuracy": probe.accuracy,
        "majority_accuracy": probe.majority_accuracy,
        "num_train": len(train),
        "num_examples": len(report),
        "state": state,
        "pooling": config.pooling,
        "C": probe.C,
        "log_losses": {f"{strength:g}": loss for strength, loss in zip(STRENGTHS, probe.mean_log_losses, strict=True)},
        "num_folds": probe.num_folds,
        "train_fingerprint": training.fingerprint,
        "data_fingerprint": reporting.fingerprint,
        "model_fingerprint": weights_fingerprint(folder),
        "probe_s": time.perf_counter() - began,
    }
