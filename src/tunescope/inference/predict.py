"""Encoded examples -> what a network predicts for each, in the examples' order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tunescope.errors import RunError
from tunescope.inference.batches import autocast, evaluation_batches, network_inputs
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
    batch_tokens: int,
) -> Predictions:
    """Runs the network over all examples, in batches by length, without gradients.

    Args:
        model: The tuned model, or `network.model` itself.
        network: What the model was made from: its tokenizer and kind.
        task: Says what the outputs mean.
        examples: The examples that `encoded` is of.
        encoded: Their tokens.
        precision: "fp32" or "bf16".
        batch_tokens: Tokens, padding included, computed at once.

    Raises:
        RunError: If an output is not finite; names the example.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    lengths = encoded.lengths
    per_row: list[Any] = [None] * len(lengths)
    with torch.no_grad():
        for rows in evaluation_batches(lengths, batch_tokens):
            with autocast(device, precision):
                output = model(**network_inputs(encoded, rows, network, device))
            for row, values in zip(rows.tolist(), _row_outputs(output, task), strict=True):
                if not np.isfinite(values).all():
                    example = examples.ids[int(encoded.example_index[row])]
                    raise RunError(f"the network's output for example {example} is not finite; its weights are broken")
                per_row[row] = values
    model.train(was_training)
    if isinstance(task, QuestionAnswering):
        return Predictions(ids=examples.ids, spans=_spans(task, examples, encoded, per_row))
    stacked = np.stack(per_row)
    if task.kind == "regression":
        return Predictions(ids=examples.ids, numbers=stacked[:, 0])
    return Predictions(ids=examples.ids, logits=stacked)


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
