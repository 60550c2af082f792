"""Encoded examples -> what a network predicts for each, in the examples' order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tunescope.errors import NotFiniteError, StopRequested
from tunescope.inference.batches import autocast, computed_in_batches, network_inputs
from tunescope.inference.out_of_memory import TokensAtOnce
from tunescope.models.network import Network
from tunescope.tasks.data import Examples
from tunescope.tasks.encode import Encoded
from tunescope.tasks.spans import SpanPrediction, SpanWindow, predict_span
from tunescope.tasks.spec import QuestionAnswering, TaskSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """One prediction per example; of the three forms the one of the task's kind is there."""

    ids: tuple[str, ...]
    logits: np.ndarray | None = None
    """(n, num_labels) float32, for classification."""
    numbers: np.ndarray | None = None
    """(n,) float32, for regression."""
    spans: tuple[SpanPrediction, ...] | None = None
    """For question answering: the best span of each, before any threshold."""


def predict(
    model: nn.Module,
    network: Network,
    task: TaskSpec,
    examples: Examples,
    encoded: Encoded,
    *,
    precision: str,
    batch_tokens: int | TokensAtOnce,
    should_stop: Callable[[], bool] = lambda: False,
) -> Predictions:
    """Runs the network over all examples, in batches by length, without gradients.

    A batch that does not fit in memory is computed in smaller ones, and so are those after it.

    Args:
        model: The tuned model, or `network.model` itself.
        network: What the model was made from: its tokenizer and kind.
        task: Says what the outputs mean.
        examples: The examples that `encoded` is of.
        encoded: Their tokens.
        precision: "fp32" or "bf16".
        batch_tokens: Tokens, padding included, computed at once. A `TokensAtOnce` is lowered in place where they do not fit.
        should_stop: Asked between batches.

    Raises:
        NotFiniteError: If an output is not finite; names the example.
        StopRequested: If `should_stop` said so; the model is as it was.
    """
    device = next(model.parameters()).device
    per_row: list[Any] = [None] * len(encoded.lengths)

    def outputs(rows: np.ndarray) -> np.ndarray:
        if should_stop():
            raise StopRequested("asked to stop between two batches of a scoring")
        with autocast(device, precision):
            return _row_outputs(model(**network_inputs(encoded, rows, network, device)), task)

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for rows, values in computed_in_batches(encoded.lengths, batch_tokens, outputs):
                _check_finite(values, rows, examples, encoded)
                for row, of_row in zip(rows.tolist(), values, strict=True):
                    per_row[row] = of_row
    finally:
        model.train(was_training)
    if isinstance(task, QuestionAnswering):
        return Predictions(ids=examples.ids, spans=_spans(task, examples, encoded, per_row))
    stacked = np.stack(per_row)
    if task.kind == "regression":
        return Predictions(ids=examples.ids, numbers=stacked[:, 0])
    return Predictions(ids=examples.ids, logits=stacked)


def _check_finite(values: np.ndarray, rows: np.ndarray, examples: Examples, encoded: Encoded) -> None:
    for row, of_row in zip(rows.tolist(), values, strict=True):
        if not np.isfinite(of_row).all():
            example = examples.ids[int(encoded.example_index[row])]
            raise NotFiniteError(f"the network's output for example {example} is not finite; its weights are broken")


def _row_outputs(output: Any, task: TaskSpec) -> np.ndarray:
    """(rows, num_outputs), or (rows, 2, seq) for question answering, float32."""
    if task.kind == "question_answering":
        both = torch.stack([output.start_logits, output.end_logits], dim=1)
        return np.asarray(both.float().cpu().numpy())
    return np.asarray(output.logits.float().cpu().numpy())


def _spans(
    task: QuestionAnswering, examples: Examples, encoded: Encoded, per_row: list[np.ndarray]
) -> tuple[SpanPrediction, ...]:
    windows = encoded.windows
    assert windows is not None
    by_example: list[list[SpanWindow]] = [[] for _ in examples.ids]
    for row, logits in enumerate(per_row):
        by_example[int(encoded.example_index[row])].append(
            SpanWindow(
                start_logits=logits[0],
                end_logits=logits[1],
                first=int(windows.context_start[row]),
                last=int(windows.context_end[row]),
                offsets=windows.offsets[row],
                null_position=int(windows.null_position[row]),
            )
        )
    contexts = examples.texts[task.context]
    return tuple(
        predict_span(id_, context, own, max_answer_tokens=task.max_answer_tokens)
        for id_, context, own in zip(examples.ids, contexts, by_example, strict=True)
    )
