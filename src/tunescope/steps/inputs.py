"""What several steps read: a task's examples and their tokens, kept between the jobs of one process."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pydantic import TypeAdapter

from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import Network, load_network
from tunescope.models.tokenizer import load_tokenizer
from tunescope.tasks.data import ReportData, TrainingData, load_report_data, load_training_data
from tunescope.tasks.encode import Encoded, encode
from tunescope.tasks.spec import TaskSpec

Part = Literal["train", "selection", "report"]

_TASK: TypeAdapter[TaskSpec] = TypeAdapter(TaskSpec)


def training_data(task: TaskSpec, source: Source) -> TrainingData:
    """As `tasks.data.load_training_data`, read once per process."""
    return _training_data(task.model_dump_json(), source)


def report_data(task: TaskSpec, source: Source) -> ReportData:
    """As `tasks.data.load_report_data`, read once per process."""
    return _report_data(task.model_dump_json(), source)


def encoded_part(task: TaskSpec, part: Part, base_model: BaseModelSpec, source: Source, *, is_decoder: bool) -> Encoded:
    """The tokens of one part of a task under a base model's tokenizer, made once per process."""
    return _encoded(task.model_dump_json(), part, base_model, source, is_decoder)


def network_for(base_model: BaseModelSpec, task: TaskSpec, source: Source, *, seed: int, device: str) -> Network:
    """The base model under a fresh head for a task, on the device."""
    folder = source.model_folder(base_model.name, base_model.revision)
    num_labels = len(task.labels) if task.kind == "classification" else 1
    network = load_network(base_model, folder, task_kind=task.kind, num_labels=num_labels, seed=seed)
    network.model.to(device)
    return network


def forget_inputs() -> None:
    """Drops what was read: a run begins so, because files may have changed since an earlier one of this process."""
    for kept in (_training_data, _report_data, _encoded):
        kept.cache_clear()


@lru_cache(maxsize=4)
def _training_data(task: str, source: Source) -> TrainingData:
    return load_training_data(_TASK.validate_json(task), source)


@lru_cache(maxsize=4)
def _report_data(task: str, source: Source) -> ReportData:
    return load_report_data(_TASK.validate_json(task), source)


@lru_cache(maxsize=6)
def _encoded(task: str, part: Part, base_model: BaseModelSpec, source: Source, is_decoder: bool) -> Encoded:
    spec = _TASK.validate_json(task)
    if part == "report":
        examples = _report_data(task, source).report
    else:
        data = _training_data(task, source)
        examples = data.train if part == "train" else data.selection
    tokenizer = load_tokenizer(base_model, source.model_folder(base_model.name, base_model.revision))
    return encode(spec, examples, tokenizer, is_decoder=is_decoder)
