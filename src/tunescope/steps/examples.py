"""A task's report rows as people read them, and what is known of its data: counts, balance, what parts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunescope.steps.context import StepContext
from tunescope.steps.inputs import report_data, training_data
from tunescope.study.configs import ExamplesConfig, as_reported, as_trained_on
from tunescope.study.example_jobs import EXAMPLES_NAME, TEXT_PREFIX
from tunescope.tasks.data import Examples, describe_task_data
from tunescope.tasks.spec import TaskSpec


def run(
    config: ExamplesConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `examples.parquet`: id, the task's text columns and the target of every report row, in the order they are scored."""
    task = config.task
    training = training_data(as_trained_on(task), context.source)
    report = report_data(as_reported(task), context.source)
    pq.write_table(_table(task, report.report), out / EXAMPLES_NAME, compression="zstd")
    data = describe_task_data(task, training, report)
    return {
        "num_examples": dict(data.counts),
        "label_balance": {part: dict(counts) for part, counts in data.label_balance.items()},
        "num_seen_before": data.overlap,
        "selection_kin": asdict(data.selection_kin),
        "train_fingerprint": training.fingerprint,
        "data_fingerprint": report.fingerprint,
    }


def _table(task: TaskSpec, examples: Examples) -> pa.Table:
    columns: dict[str, Any] = {"id": list(examples.ids)}
    columns |= {f"{TEXT_PREFIX}{column}": list(texts) for column, texts in examples.texts.items()}
    if task.kind == "question_answering":
        columns["target"] = pa.array([list(answers.texts) for answers in examples.answers], pa.list_(pa.string()))
    elif task.kind == "regression":
        columns["target"] = examples.numbers
    else:
        columns["target"] = [task.labels[int(number)] for number in examples.numbers]
    return pa.table(columns)
