"""One training: a base model, a task, a method and a seed -> tuned weights, and how they came about."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from tunescope.drift.watch import DriftWatch, Readings, plan_readings
from tunescope.errors import StopRequested
from tunescope.hub.fingerprint import weights_fingerprint
from tunescope.inference.example_scores import standard_error
from tunescope.inference.out_of_memory import TokensAtOnce
from tunescope.inference.predict import predict
from tunescope.inference.score import no_answer_threshold, score, targets_and_predictions
from tunescope.methods import HeadOnly
from tunescope.models.checkpointing import enable_checkpointing
from tunescope.models.counts import count_parameters
from tunescope.models.network import Network
from tunescope.models.packed import Twin
from tunescope.models.saving import save_tuned
from tunescope.models.tokenizer import MAX_UNKNOWN
from tunescope.steps.context import StepContext
from tunescope.steps.device import use_threads
from tunescope.steps.inputs import encoded_part, network_for, training_data
from tunescope.steps.objective import Objective
from tunescope.store.provenance import checkout_state, library_versions
from tunescope.study.configs import TrainConfig
from tunescope.tasks.data import Examples, seen_rows
from tunescope.tasks.encode import Encoded
from tunescope.tasks.scores import SCORES
from tunescope.training.checkpoint import trainable
from tunescope.training.loop import train
from tunescope.training.metric_log import LOG_NAME
from tunescope.training.run import Curve, Run, SelectionScore, Trained
from tunescope.weights.packed import twins_in

SELECTION_NAME = "selection.json"
"""What the selection rows said of the kept weights: score, and for question answering the no-answer threshold."""
SEEN_NAME = "seen_rows.npy"
"""Digests of the train and selection rows, so that an evaluation can tell whether it scores any of them."""


def run(
    config: TrainConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Trains, and writes the tuned weights, the metric log and the selection rows' verdict.

    Returns:
        For the record: settings in force, parameter counts, truncation, data read, time, tokens, flags.

    Raises:
        TunescopeError: If data or model do not fit the config.
        RunError: If the training goes wrong.
        StopRequested: If the context says so; run again with the same scratch folder, it goes on from there.
    """
    tuning = tune(with_selected(config, inputs), out, scratch, context)
    save_tuned(tuning.model, config.method_kind, out, base=_packed_against(tuning.model, config, context))
    np.save(out / SEEN_NAME, seen_rows(training_data(config.task, context.source)))
    return tuning.facts


def _packed_against(model: nn.Module, config: TrainConfig, context: StepContext) -> dict[str, Twin] | None:
    """What a full model's tensors started from, where the study packs it; they are read from the base's files one by one."""
    if not context.compute.pack_weights or config.method_kind != "full":
        return None
    base = context.source.model_folder(config.base_model.name, config.base_model.revision)
    return twins_in(base, {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()})


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """A finished training: the model, what the loop says of it, and the facts for a record."""

    model: nn.Module
    trained: Trained
    facts: dict[str, Any]


def tune(
    config: TrainConfig,
    out: Path,
    scratch: Path,
    context: StepContext,
    is_hopeless: Callable[[Curve], bool] = lambda curve: False,
) -> Tuning:
    """Trains as the config says, and writes the metric log and the selection rows' verdict, but no weights.

    Raises:
        TunescopeError: If data or model do not fit the config.
        RunError: If the training goes wrong.
        StopRequested: If the context says so, after a checkpoint, or before anything was begun.
    """
    use_threads(context.num_threads)
    task, settings, compute = config.task, config.training, context.compute
    data = training_data(task, context.source)
    made_from = {
        "its training data": data.fingerprint,
        "its base model": weights_fingerprint(
            context.source.model_folder(config.base_model.name, config.base_model.revision)
        ),
        "its settings": hashlib.sha256(json.dumps(config.identity(), sort_keys=True).encode()).hexdigest(),
    }
    network = network_for(config.base_model, task, context.source, seed=config.seed, device=context.device)
    encoded = {
        part: encoded_part(task, part, config.base_model, context.source, is_decoder=network.is_decoder)
        for part in ("train", "selection")
    }
    attention = getattr(network.model.config, "_attn_implementation", None)
    readings = _readings(config, encoded)
    watch = None
    if readings is not None and readings.fit:  # reads the base: before it is adapted
        watch = DriftWatch(
            network,
            encoded["selection"],
            readings=readings,
            pooling=config.watch_pooling,
            batch_tokens=compute.evaluation_batch_tokens,
        )
    model = config.method.apply(network.model, task.kind, config.seed)
    if compute.gradient_checkpointing:
        enable_checkpointing(model)
    head_names = frozenset(name for name in trainable(model) if is_head(name, network))
    objective = Objective(model, network, config, encoded["train"], padding_free=compute.padding_free)
    scored_at_once = TokensAtOnce(compute.evaluation_batch_tokens)
    if context.should_stop():  # data, model and tokens may have taken longer to read than a stop may take
        raise StopRequested("before the first step")
    trained = train(
        [
            Run(
                model=model,
                lengths=encoded["train"].lengths,
                loss_sum=objective,
                padding_free=objective.padding_free,
                score=lambda: selection_score(
                    model, network, config, data.selection, encoded["selection"], context, scored_at_once
                ),
                settings=settings,
                seed=config.seed,
                head_names=head_names,
                scratch=scratch,
                is_hopeless=is_hopeless,
                watch=lambda step, num_steps: _watched(watch, model, step, num_steps),
                made_from=made_from,
                versions=library_versions() | {"commit": str(checkout_state()[0])},
            )
        ],
        micro_batch_tokens=compute.micro_batch_tokens,
        checkpoint_every_s=compute.checkpoint_every_s,
        report=context.report,
        should_stop=context.should_stop,
    )[0]
    shutil.copyfile(scratch / LOG_NAME, out / LOG_NAME)
    verdict = {"score": trained.selection.value, "step": trained.kept_step, **trained.selection.details}
    (out / SELECTION_NAME).write_text(json.dumps(verdict, indent=1), encoding="utf-8")
    in_force = trained.in_force | {
        "asked": {
            "precision": settings.precision,
            "batch_size": settings.batch_size,
            "schedule": settings.schedule,
            "max_grad_norm": settings.max_grad_norm,
            "label_smoothing": settings.label_smoothing,
            "max_length": task.max_length,
            "micro_batch_tokens": compute.micro_batch_tokens,
            "padding_free": compute.padding_free,
        },
        "longest_row": int(encoded["train"].lengths.max()),
        "attention": attention,
        "padding_free": objective.padding_free,
        "padded_because": objective.padded_because,
        "micro_batch_tokens": trained.micro_batch_tokens,
        "gradient_checkpointing": compute.gradient_checkpointing,
        "method": config.method.model_dump(mode="json"),
    }
    facts = {
        "settings_in_force": in_force,
        "parameters": asdict(count_parameters(model)),
        "truncation": {part: asdict(rows.truncation) for part, rows in encoded.items()},
        "num_examples": {"train": len(data.train.ids), "selection": len(data.selection.ids)},
        "data_fingerprint": made_from["its training data"],
        "model_fingerprint": made_from["its base model"],
        "num_steps": trained.num_steps,
        "num_steps_planned": trained.num_steps_planned,
        "stopped_early": trained.stopped_early,
        "pruned": trained.pruned,
        "kept_step": trained.kept_step,
        "selection": verdict,
        "train_s": trained.train_s,
        "num_examples_seen": trained.num_examples,
        "num_tokens": trained.num_tokens,
        "num_tokens_planned": trained.num_tokens_planned,
        "padding_share": trained.padding_share,
        "resumed_from": trained.resumed_from,
        "drift_watch_s": None if watch is None else watch.seconds,
        "drift_watch": None if readings is None else asdict(readings) | {"note": readings.note},
        "weights_sha256": weights_sha256(model),
        "flags": [
            *trained.flags,
            *([] if readings is None or readings.fit else [readings.note]),
            *([] if scored_at_once.refused is None else [scored_at_once.told(at="while scoring the selection rows")]),
            *_unknown(encoded["train"].share_of(network.tokenizer.unk_token_id)),
        ],
    }
    return Tuning(model=model, trained=trained, facts=facts)


def _readings(config: TrainConfig, encoded: Mapping[str, Encoded]) -> Readings | None:
    """How drift is followed through the training; None where nobody asked."""
    if config.watch_drift is None:
        return None
    settings = config.training
    return plan_readings(
        config.watch_drift,
        settings.num_steps(len(encoded["train"])) * settings.batch_size,
        int(encoded["selection"].example_index[-1]) + 1,
        head_alone=isinstance(config.method, HeadOnly),
    )


def _watched(watch: DriftWatch | None, model: nn.Module, step: int, num_steps: int) -> dict[str, Any] | None:
    if watch is None or not watch.is_due(step, num_steps):
        return None
    said = {"every": watch.readings.every, "note": watch.readings.note}
    return {"cka": watch.read(model), "num_examples": watch.num_probe, "watch_s": round(watch.seconds, 6)} | said


def selection_score(
    model: nn.Module,
    network: Network,
    config: TrainConfig,
    examples: Examples,
    encoded: Encoded,
    context: StepContext,
    batch_tokens: TokensAtOnce | None = None,
) -> SelectionScore:
    """How the selection rows judge the weights, by the task's primary metric; higher is better.

    Args:
        model: The network, as the method made it.
        network: What the model was made from.
        config: Task and precision.
        examples: The selection rows.
        encoded: Their tokens.
        context: Asked between batches whether to stop.
        batch_tokens: How many tokens are computed at once, lowered in place where they do not fit; the context's if absent.
    """
    task = config.task
    predictions = predict(
        model,
        network,
        task,
        examples,
        encoded,
        precision=config.training.precision,
        batch_tokens=context.compute.evaluation_batch_tokens if batch_tokens is None else batch_tokens,
        should_stop=context.should_stop,
    )
    threshold = no_answer_threshold(examples, predictions) if task.kind == "question_answering" else None
    scores = score(task, examples, predictions, threshold)
    details: dict[str, Any] = {"metric": task.primary_metric, "num_examples": scores.num_examples}
    if threshold is not None:
        details["threshold"] = threshold
    targets, predicted = targets_and_predictions(task, examples, predictions, threshold)
    error = standard_error(task, task.primary_metric, targets, predicted)
    if error is not None:
        details["standard_error"] = error
    value = scores.values.get(task.primary_metric)
    if value is None:
        return SelectionScore(value=None, note=scores.undefined[task.primary_metric], details=details)
    sign = 1.0 if SCORES[task.primary_metric].higher_is_better else -1.0
    note = f"on the selection rows, {scores.note}" if scores.note else ""
    return SelectionScore(value=sign * value, note=note, details=details)


def _unknown(share: float) -> list[str]:
    """The flag of a run on text that its tokenizer mostly does not know."""
    told = f"{share:.0%} of the train tokens are unknown to the tokenizer: is it the model's own, and the text its language?"
    return [told] if share > MAX_UNKNOWN else []


def with_selected(config: TrainConfig, inputs: Mapping[str, Path]) -> TrainConfig:
    """The config with a sweep's winning values in place, where the job has a `selected` input."""
    if "selected" not in inputs:
        return config
    return with_values(config, json.loads((inputs["selected"] / "selected.json").read_text(encoding="utf-8"))["values"])


def with_values(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """The config with fields of its method or of its training set; validated."""
    own = {name: value for name, value in values.items() if name in type(config.method).model_fields}
    rest = {name: value for name, value in values.items() if name not in own}
    method = type(config.method).model_validate(config.method.model_dump() | own)
    return config.model_copy(update={"method": method, "training": config.training.updated(rest)})


def is_head(name: str, network: Network) -> bool:
    """Whether a trainable tensor is the task head's, under whatever names a PEFT wrapper gave it."""
    parts = set(name.split("."))
    return any(head.split(".")[0] in parts for head in network.head_names)


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of the trained tensors: equal for two seeds only if training did nothing with the seed."""
    digest = hashlib.sha256()
    for name, parameter in sorted(trainable(model).items()):
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
