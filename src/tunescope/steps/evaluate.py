"""The scores of one trained run on the report split, and every prediction they come from."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from tunescope.inference.out_of_memory import TokensAtOnce
from tunescope.inference.predict import predict
from tunescope.inference.score import prediction_table, score, write_scores
from tunescope.models.saving import load_tuned
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.inputs import encoded_part, network_for, report_data
from tunescope.steps.train import SEEN_NAME, SELECTION_NAME
from tunescope.study.configs import EvaluateConfig
from tunescope.tasks.data import MAX_OVERLAP, ReportData, num_seen_before, told_of_overlap

PREDICTIONS_NAME = "predictions.parquet"


def run(
    config: EvaluateConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Loads a run's saved weights and writes `metrics.json` and `predictions.parquet` for the report split."""
    use_threads(context.num_threads)
    task = config.task
    data = report_data(task, context.source)
    network = network_for(config.base_model, task, context.source, seed=0, device=context.device)
    encoded = encoded_part(task, "report", config.base_model, context.source, is_decoder=network.is_decoder)
    model = load_tuned(network, inputs["run"])
    model.to(torch.device(context.device))
    at_once = TokensAtOnce(context.compute.evaluation_batch_tokens)
    began = time.perf_counter()
    predictions = predict(
        model,
        network,
        task,
        data.report,
        encoded,
        precision=config.precision,
        batch_tokens=at_once,
    )
    seconds = time.perf_counter() - began
    threshold = None
    if task.kind == "question_answering":
        threshold = json.loads((inputs["run"] / SELECTION_NAME).read_text(encoding="utf-8"))["threshold"]
    scores = score(task, data.report, predictions, threshold)
    write_scores(out, scores, {"split": task.report_split, "threshold": threshold})
    pq.write_table(
        prediction_table(task, data.report, predictions, threshold), out / PREDICTIONS_NAME, compression="zstd"
    )
    return {
        "scores": scores.values,
        "num_examples": scores.num_examples,
        "num_tokens": sum(len(ids) for ids in encoded.input_ids),
        "truncation": asdict(encoded.truncation),
        "evaluate_s": seconds,
        "data_fingerprint": data.fingerprint,
        "flags": [
            *([f"on the report rows, {scores.note}"] if scores.note else []),
            *([] if at_once.refused is None else [at_once.told(at="while scoring the report rows")]),
            *_seen_in_training(inputs["run"], data),
        ],
    }


def _seen_in_training(trained: Path, report: ReportData) -> list[str]:
    """The flag of a run that is scored on rows it was trained or chosen on; none below `MAX_OVERLAP`."""
    num_seen = num_seen_before(np.load(trained / SEEN_NAME), report)
    return [told_of_overlap(num_seen, len(report.report))] if num_seen > MAX_OVERLAP * len(report.report) else []
