"""How much of the text does not fit under a base model's tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tunescope.cost.architecture import is_decoder_config
from tunescope.hub.source import Source
from tunescope.models.base import BaseModelSpec
from tunescope.models.tokenizer import load_tokenizer
from tunescope.preflight.data import Sample
from tunescope.preflight.finding import Finding, Status
from tunescope.study.labels import short_name
from tunescope.tasks.encode import Encoded, encode
from tunescope.tasks.spec import TaskSpec

_MAX_SHARE = 0.05
"""Share of examples that may lose text before it is worth a note."""


def check_truncation(task: TaskSpec, sample: Sample, model: BaseModelSpec, source: Source) -> Iterator[Finding]:
    """Encodes a sample of a task's rows and counts what is cut.

    Raises:
        TunescopeError: If there is no tokenizer, or a text cannot be encoded.
    """
    folder = source.model_folder(model.name, model.revision)
    tokenizer = load_tokenizer(model, folder)
    is_decoder = is_decoder_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    parts = {"train": sample.train, "report": sample.report}
    encoded = {part: encode(task, rows, tokenizer, is_decoder=is_decoder) for part, rows in parts.items()}
    yield judge_truncation(task, model, encoded)


def judge_truncation(task: TaskSpec, model: BaseModelSpec, encoded: Mapping[str, Encoded]) -> Finding:
    """Puts the shares of cut examples, and of answers that no window holds, into words."""
    told = []
    status: Status = "ok"
    for part, rows in encoded.items():
        lost = rows.truncation
        said = f"{lost.share:.1%} of {lost.num_examples:,} {part} rows lose text"
        if lost.share > _MAX_SHARE:
            status = "note"
        windows = rows.windows
        if windows is not None and windows.num_answerable:
            unreachable = windows.num_unreachable / windows.num_answerable
            said += f", {unreachable:.1%} of answers are in no window whole"
            if unreachable > _MAX_SHARE:
                status = "note"
        lengths = rows.lengths
        told.append(f"{said} (tokens: mean {lengths.mean():.0f}, longest {lengths.max()})")
    message = f"at max_length {task.max_length}, {'; '.join(told)}"
    if status == "note":
        message += ". Raise max_length if the model has the positions"
    return Finding(
        section="data", subject=f"{task.name} under {short_name(model.name)}", status=status, message=message
    )
