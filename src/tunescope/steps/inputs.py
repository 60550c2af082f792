"""What several steps read: a task's examples and their tokens, kept between the jobs of one process."""

from __future__ import annotations

from typing import Literal

import psutil

from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import Network, load_network
from tunescope.models.tokenizer import load_tokenizer
from tunescope.steps.kept import Kept, bytes_of_encoded, bytes_of_examples
from tunescope.tasks.data import ReportData, TrainingData, load_report_data, load_training_data
from tunescope.tasks.encode import Encoded, encode
from tunescope.tasks.spec import TaskSpec

Part = Literal["train", "selection", "report"]

_KEPT = Kept(min(4 * 2**30, psutil.virtual_memory().total // 8))
"""Data and tokens take at most 4 GiB of a worker, or an eighth of the machine's memory. The reference study needs about 2:
SQuAD v2's 24 million training tokens and their places in the texts 1.3, and all of MRPC, RTE and SST-2 0.5 (measured)."""


def training_data(task: TaskSpec, source: Source) -> TrainingData:
    """As `tasks.data.load_training_data`, kept for the next job of the process."""
    return _KEPT.get(
        ("training", task.model_dump_json(), source),
        lambda: load_training_data(task, source),
        lambda data: bytes_of_examples(data.train, data.selection),
    )


def report_data(task: TaskSpec, source: Source) -> ReportData:
    """As `tasks.data.load_report_data`, kept for the next job of the process."""
    return _KEPT.get(
        ("report", task.model_dump_json(), source),
        lambda: load_report_data(task, source),
        lambda data: bytes_of_examples(data.report),
    )


def encoded_part(task: TaskSpec, part: Part, base_model: BaseModelSpec, source: Source, *, is_decoder: bool) -> Encoded:
    """The tokens of one part of a task under a base model's tokenizer, kept for the next job of the process."""

    def encoded() -> Encoded:
        if part == "report":
            examples = report_data(task, source).report
        else:
            data = training_data(task, source)
            examples = data.train if part == "train" else data.selection
        tokenizer = load_tokenizer(base_model, source.model_folder(base_model.name, base_model.revision))
        return encode(task, examples, tokenizer, is_decoder=is_decoder)

    key = ("encoded", task.model_dump_json(), part, base_model, source, is_decoder)
    return _KEPT.get(key, encoded, bytes_of_encoded)


def network_for(base_model: BaseModelSpec, task: TaskSpec, source: Source, *, seed: int, device: str) -> Network:
    """The base model under a fresh head for a task, on the device."""
    folder = source.model_folder(base_model.name, base_model.revision)
    num_labels = len(task.labels) if task.kind == "classification" else 1
    network = load_network(base_model, folder, task_kind=task.kind, num_labels=num_labels, seed=seed)
    network.model.to(device)
    return network


def forget_inputs() -> None:
    """Drops what was read: a run begins so, because files may have changed since an earlier one of this process."""
    _KEPT.forget()
