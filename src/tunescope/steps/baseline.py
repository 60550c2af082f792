"""What is reached without fine-tuning: the majority class, guesses, published figures, the base model's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.inference.chance import (
    expected_answer_scores,
    expected_label_scores,
    expected_number_scores,
    guessed_answers,
    guessed_labels,
    guessed_numbers,
    majority_label,
)
from tunescope.inference.score import Scores, prediction_table, score, write_scores
from tunescope.inference.zero_shot import zero_shot
from tunescope.models.language_model import load_language_model
from tunescope.models.tokenizer import load_tokenizer
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.inputs import encoded_part, report_data, training_data
from tunescope.study.configs import BaselineConfig, reads_train_rows
from tunescope.tasks.data import Examples
from tunescope.tasks.scores import SCORES
from tunescope.tasks.spec import TaskSpec


def run(
    config: BaselineConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `metrics.json`, and predictions where there are some of interest."""
    steps = {"majority": _majority, "random": _random, "reference": _reference, "zero_shot": _zero_shot}
    return steps[config.baseline](config, out, context)


def _majority(config: BaselineConfig, out: Path, context: StepContext) -> dict[str, Any]:
    """The commonest training label; the mean training score; no answer to any question."""
    task = config.task
    report = report_data(task, context.source).report
    predicted: Any
    more: dict[str, Any] = {}
    if task.kind == "classification":
        label = majority_label(training_data(task, context.source).train)
        predicted, more["predicts"] = np.full(len(report), label), task.labels[label]
    elif task.kind == "regression":
        mean = float(training_data(task, context.source).train.numbers.mean())
        predicted, more["predicts"] = np.full(len(report), mean), mean
    else:
        predicted, more["predicts"] = dict.fromkeys(report.ids, ""), "no answer"
    scores = _score(task, report, predicted)
    write_scores(out, scores, {"split": task.report_split, **more})
    return _facts(scores, config, context) | more


def _random(config: BaselineConfig, out: Path, context: StepContext) -> dict[str, Any]:
    """One uniform guess per seed, and the expectation over all guesses."""
    task = config.task
    report = report_data(task, context.source).report
    draws: list[Scores] = []
    if task.kind == "classification":
        expected = expected_label_scores(task, report.numbers)
        draws = [_score(task, report, guessed_labels(task, len(report), seed)) for seed in config.seeds]
    elif task.kind == "regression":
        train = training_data(task, context.source).train
        expected = expected_number_scores(task, train, report.numbers)
        draws = [_score(task, report, guessed_numbers(train, len(report), seed)) for seed in config.seeds]
    else:
        expected = expected_answer_scores(task, report)
        draws = [_score(task, report, guessed_answers(task, report, seed)) for seed in config.seeds]
    by_seed = {str(seed): draw.values for seed, draw in zip(config.seeds, draws, strict=True)}
    no_form = {name: "no closed form; see the draws" for name in task.metrics if name not in expected}
    scores = Scores(values=expected, undefined=no_form, num_examples=len(report))
    write_scores(out, scores, {"split": task.report_split, "draws": by_seed})
    return _facts(scores, config, context) | {"draws": by_seed}


def _reference(config: BaselineConfig, out: Path, context: StepContext) -> dict[str, Any]:
    """Published figures as the task cites them: constants with a source, over no examples of ours."""
    cited = [{"metric": one.metric, "value": one.value, "source": one.source} for one in config.task.references]
    scores = Scores(values={}, undefined={}, num_examples=0)
    write_scores(out, scores, {"references": cited})
    return {"references": cited, "scores": {}, "num_examples": 0}


def _zero_shot(config: BaselineConfig, out: Path, context: StepContext) -> dict[str, Any]:
    """The base model's own choice of label word."""
    task, base_model = config.task, config.base_model
    assert base_model is not None
    assert task.kind == "classification"
    use_threads(context.num_threads)
    report = report_data(task, context.source).report
    folder = context.source.model_folder(base_model.name, base_model.revision)
    tokenizer = load_tokenizer(base_model, folder)
    model = load_language_model(base_model, folder).to(torch.device(context.device))
    encoded = encoded_part(task, "report", base_model, context.source, is_decoder=True)
    predictions = zero_shot(
        model,
        tokenizer,
        task,
        report,
        encoded,
        precision="fp32",
        batch_tokens=context.compute.evaluation_batch_tokens,
    )
    scores = score(task, report, predictions)
    write_scores(out, scores, {"split": task.report_split, "label_words": list(task.label_words or ())})
    pq.write_table(prediction_table(task, report, predictions), out / "predictions.parquet", compression="zstd")
    return _facts(scores, config, context) | {
        "truncation": asdict(encoded.truncation),
        "model_fingerprint": weights_fingerprint(folder),
        "flags": [f"on the report rows, {scores.note}"] if scores.note else [],
    }


def _score(task: TaskSpec, report: Examples, predicted: Any) -> Scores:
    values: dict[str, float] = {}
    undefined: dict[str, str] = {}
    gold = (
        {id_: answers.texts for id_, answers in zip(report.ids, report.answers, strict=True)}
        if task.kind == "question_answering"
        else report.numbers
    )
    for name in task.metrics:
        try:
            values[name] = float(SCORES[name].function(gold, predicted))
        except ValueError as error:
            undefined[name] = str(error)
    return Scores(values=values, undefined=undefined, num_examples=len(report))


def _facts(scores: Scores, config: BaselineConfig, context: StepContext) -> dict[str, Any]:
    facts = {
        "scores": scores.values,
        "num_examples": scores.num_examples,
        "data_fingerprint": report_data(config.task, context.source).fingerprint,
    }
    if reads_train_rows(config.task, config.baseline):
        facts["train_fingerprint"] = training_data(config.task, context.source).fingerprint
    return facts
