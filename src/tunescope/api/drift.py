"""`drift` as a function: how far any two models are apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from tunescope.errors import TunescopeError
from tunescope.steps.device import chosen_device
from tunescope.study.drift import DRIFT_MEASURE, DriftSettings, Read
from tunescope.study.known import source_for
from tunescope.tasks.registry import catalogue_entry
from tunescope.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from tunescope.drift.two_models import TwoModels


def drift_between(
    base: str,
    tuned: str,
    *,
    task: str | None = None,
    text: Path | None = None,
    mirror: Path | None = None,
    pooling: Read = "last_token",
    num_examples: int | None = None,
    max_length: int = 512,
    weights: bool = True,
    weight_directions: bool = False,
) -> TwoModels:
    """How far two models are apart on a task's report rows, or on the texts of a file.

    Args:
        base: Hub id or folder of a model.
        tuned: Hub id or folder of a model, a peft adapter, or what a run keeps.
        task: A task of the catalogue; either this or `text`.
        text: A text file, or a table with a column `text`.
        mirror: A folder that stands in for the hub.
        pooling: How a text's hidden states are read; of `all_tokens` there is the debiased CKA alone.
        num_examples: At most so many.
        max_length: Tokens of a text.
        weights: Whether the updates of the weights are measured too.
        weight_directions: Whether their singular directions are compared with the base weights' as well.

    Raises:
        TunescopeError: If a model, data set or file is not there, or the two cannot be compared.
    """
    from tunescope.drift.two_models import compare_models
    from tunescope.tasks.texts import TextSource, read_texts

    if (task is None) == (text is None):
        raise TunescopeError("drift is measured on a task or on a text file: give one of them.")
    source = source_for(Path("study.yaml"), mirror)
    on = (
        TypeAdapter(TaskSpec).validate_python({"name": task} | catalogue_entry(task))
        if task is not None
        else read_texts(TextSource(name="texts", file=str(text)), source)
    )
    return compare_models(
        base,
        tuned,
        on,
        source=source,
        measures=(DRIFT_MEASURE,) if pooling == "all_tokens" else DriftSettings().measures,
        pooling=(pooling,),
        num_examples=num_examples,
        max_length=max_length,
        weights=weights,
        weight_directions=weight_directions,
        device=chosen_device("auto"),
    )
