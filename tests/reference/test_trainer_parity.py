"""Our training loop against Hugging Face's `Trainer`: the same rows, settings and dropout give the same curve and weights.

The reference is what a user of Hugging Face would build: the plain head class, plain peft, the tokenizer's own padding,
and `Trainer` with its own optimiser, schedule, clipping and accumulation. It is given our start weights, our order of
rows (its own is drawn differently) and, before each step, our seed (its masks would be others). Nothing else is ours.

Where a step is one portion on both sides, both do the same arithmetic, and curve and weights have agreed to the last
bit. Where it is cut in different places, sums are rounded in another order (1e-7 on a loss), and AdamW's division by
small second moments widens that in the weights. 1e-4 is what the project promises for real data; the tiny models keep
to less, so that a wrong group of weight decay shows within their twelve steps.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

from tiny import TINY, WORDS
from tunescope.hub.source import Source
from tunescope.methods import Full, Lora, Method
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import Network
from tunescope.steps.inputs import encoded_part, network_for
from tunescope.steps.objective import Objective
from tunescope.steps.train import is_head
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.tasks.encode import Encoded
from tunescope.tasks.registry import catalogue_entry
from tunescope.tasks.spec import Classification
from tunescope.training.checkpoint import trainable
from tunescope.training.gradients import step_seed
from tunescope.training.loop import train
from tunescope.training.metric_log import LOG_NAME, read_log
from tunescope.training.order import DataOrder, micro_batches
from tunescope.training.run import Run, SelectionScore

SEED = 42
WHOLE_STEP = 10**9
"""Tokens computed at once that no step reaches, so that each is one portion."""
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
NO_GRADIENT = "attention.self.key.bias"
"""BERT's weights without effect: a key bias adds the same to all scores of a query, which softmax ignores. Their gradient
is rounding alone, which AdamW scales up to whole steps; so they agree only where both sides round alike."""
METHODS: dict[str, Method] = {"full": Full(), "lora": Lora(rank=8, alpha=16, dropout=0.1)}
LEARNING_RATES = {"full": 5e-5, "lora": 5e-4}
each_method = pytest.mark.parametrize("method", METHODS)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What both sides are given."""

    config: TrainConfig
    source: Source
    tokens_at_once: int
    """Of our loop."""
    accumulation: int = 1
    """Portions of equal numbers of rows that the `Trainer` cuts a step into."""
    padding_free: bool = False
    """Whether our side lays rows end to end; the `Trainer` pads them."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What came of a training on one side."""

    losses: np.ndarray
    learning_rates: np.ndarray
    grad_norms: np.ndarray
    weights: dict[str, torch.Tensor]
    """Trained tensors at the end, under Hugging Face's names."""


@pytest.mark.parametrize("name", ["bert", "llama"])
@each_method
def test_twelve_steps_of_a_tiny_model_with_dropout(name: str, method: str, tmp_path: Path) -> None:
    """Across the ends of epochs, each of them a smaller batch."""
    dropout: dict[str, Any] = {"attention_dropout": 0.1} if name == "llama" else {}
    _assert_parity(_tiny_case(name, method, tmp_path, num_rows=41, model=dropout), tmp_path, tolerance=1e-6)


@pytest.mark.parametrize("padding_free", [False, True])
@pytest.mark.parametrize("name", ["bert", "llama"])
@each_method
def test_twelve_accumulated_steps_of_a_tiny_model(name: str, method: str, padding_free: bool, tmp_path: Path) -> None:
    """Portions by length on our side, by number on the `Trainer`'s; no dropout, whose masks go by portion."""
    case = _tiny_case(name, method, tmp_path, num_rows=40, base_dropout=0.0, tokens_at_once=40, accumulation=4)
    case = replace(case, padding_free=padding_free)
    _assert_parity(case, tmp_path, tolerance=1e-5)


@pytest.mark.mirror
@pytest.mark.slow
@pytest.mark.timeout(3600)
@each_method
def test_fifty_steps_on_mrpc_with_dropout(method: str, mirror: Path, tmp_path: Path) -> None:
    _assert_parity(_mrpc_case(method, mirror), tmp_path, tolerance=1e-4)


@pytest.mark.mirror
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("padding_free", [False, True])
@each_method
def test_twenty_accumulated_steps_on_mrpc(method: str, padding_free: bool, mirror: Path, tmp_path: Path) -> None:
    """4 portions of 4 rows on the `Trainer`'s side."""
    case = _mrpc_case(method, mirror, steps=20, base_dropout=0.0, tokens_at_once=512, accumulation=4)
    _assert_parity(replace(case, padding_free=padding_free), tmp_path, tolerance=1e-4)


def _assert_parity(case: Case, folder: Path, tolerance: float) -> None:
    ours, theirs = _ours(case, folder), _theirs(case, folder)
    num_steps = case.config.training.steps
    assert len(ours.losses) == len(theirs.losses) == num_steps
    np.testing.assert_allclose(ours.learning_rates, theirs.learning_rates, rtol=1e-12, atol=0)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=0, atol=tolerance)
    np.testing.assert_allclose(ours.grad_norms, theirs.grad_norms, rtol=tolerance)
    if case.config.method_kind == "full":  # LoRA's gradients may be too small for that
        assert case.config.training.max_grad_norm is not None
        assert ours.grad_norms.max() > case.config.training.max_grad_norm, (
            "no step was clipped: clipping is not compared"
        )
    assert ours.weights.keys() == theirs.weights.keys()
    for name, weight in ours.weights.items():
        if case.accumulation == 1 or not name.endswith(NO_GRADIENT):
            apart = float((weight - theirs.weights[name]).abs().max())
            assert apart <= tolerance, f"{name} differs by up to {apart}"


def _ours(case: Case, folder: Path) -> Curve:
    network, encoded = _network_and_rows(case)
    scratch = folder / "scratch"
    scratch.mkdir()
    config = case.config
    model = config.method.apply(network.model, config.task.kind, config.seed)
    objective = Objective(model, network, config, encoded, padding_free=case.padding_free)
    assert objective.padding_free == case.padding_free
    run = Run(
        model=model,
        lengths=encoded.lengths,
        loss_sum=objective,
        padding_free=objective.padding_free,
        score=lambda: SelectionScore(value=None),
        settings=config.training,
        seed=config.seed,
        head_names=frozenset(name for name in trainable(model) if is_head(name, network)),
        scratch=scratch,
    )
    train([run], micro_batch_tokens=case.tokens_at_once)
    steps = [entry for entry in read_log(scratch / LOG_NAME) if entry["event"] == "step"]
    return Curve(
        losses=np.array([entry["loss"] for entry in steps]),
        learning_rates=np.array([entry["learning_rate"] for entry in steps]),
        grad_norms=np.array([entry["grad_norm"] for entry in steps]),
        weights={name: weight.detach() for name, weight in trainable(model).items()},
    )


def _theirs(case: Case, folder: Path) -> Curve:
    network, encoded = _network_and_rows(case)
    settings = case.config.training
    assert settings.steps is not None
    model = _plain_model(case, network, folder / "plain")
    with torch.random.fork_rng():
        trainer = _OurOrder(
            model=model,
            args=TrainingArguments(
                output_dir=str(folder / "trainer"),
                per_device_train_batch_size=settings.batch_size // case.accumulation,
                gradient_accumulation_steps=case.accumulation,
                max_steps=settings.steps,
                learning_rate=settings.learning_rate,
                lr_scheduler_type=settings.schedule,
                warmup_steps=settings.warmup_share,
                weight_decay=settings.weight_decay,
                adam_beta1=settings.adam_beta1,
                adam_beta2=settings.adam_beta2,
                adam_epsilon=settings.adam_epsilon,
                max_grad_norm=settings.max_grad_norm or 0.0,
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=_features(encoded),
            data_collator=DataCollatorWithPadding(network.tokenizer),
            callbacks=[_OurSeeds()],
            sampler=_InOurOrder(encoded.lengths, settings.batch_size),
        )
        trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    return Curve(
        losses=np.array([entry["loss"] for entry in logs]),
        learning_rates=np.array([entry["learning_rate"] for entry in logs]),
        grad_norms=np.array([entry["grad_norm"] for entry in logs]),
        weights={name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad},
    )


def _plain_model(case: Case, network: Network, folder: Path) -> Any:
    """The plain head class with the network's weights, under plain peft for LoRA, which draws what our method draws."""
    network.model.save_pretrained(folder)
    model = type(network.model).from_pretrained(folder).train()
    method = case.config.method
    if isinstance(method, Lora):
        with torch.random.fork_rng():
            torch.manual_seed(case.config.seed)
            model = get_peft_model(
                model,
                LoraConfig(
                    task_type="SEQ_CLS", r=method.rank, lora_alpha=int(method.alpha), lora_dropout=method.dropout
                ),
            )
    return model


def _features(encoded: Encoded) -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = [
        {"input_ids": list(ids), "labels": int(label)}
        for ids, label in zip(encoded.input_ids, encoded.targets, strict=True)
    ]
    if encoded.token_types is not None:
        for feature, types in zip(features, encoded.token_types, strict=True):
            feature["token_type_ids"] = list(types)
    return features


class _InOurOrder(torch.utils.data.Sampler[int]):
    """An epoch's rows at each iteration, in the order in which our loop computes them."""

    def __init__(self, lengths: np.ndarray, batch_size: int) -> None:
        self._lengths = lengths
        self._order = DataOrder(num_rows=len(lengths), batch_size=batch_size, seed=SEED)
        self._step = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        for _ in range(self._order.steps_per_epoch):
            (portion,) = micro_batches(self._order.rows(self._step), self._lengths, WHOLE_STEP)
            self._step += 1
            yield from portion.tolist()


class _OurSeeds(TrainerCallback):  # type: ignore[misc]
    """Seeds the dropout of each optimiser step as our loop does."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.manual_seed(step_seed(SEED, state.global_step))


class _OurOrder(Trainer):  # type: ignore[misc]
    """The `Trainer` with our order of rows.

    `loss_is_scaled_for_ga` mends it: transformers 5.23 takes any model whose `forward` has `**kwargs` for one that
    divides its loss by the rows of the whole step. Its classification heads have them and do not divide by it, so with
    accumulation loss and gradient come out as many times too large as there are portions.
    """

    loss_is_scaled_for_ga = False

    def __init__(self, *, sampler: _InOurOrder, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._sampler = sampler

    def _get_train_sampler(self, train_dataset: Any = None) -> _InOurOrder:
        return self._sampler


def _network_and_rows(case: Case) -> tuple[Network, Encoded]:
    config = case.config
    network = network_for(config.base_model, config.task, case.source, seed=config.seed, device="cpu")
    encoded = encoded_part(config.task, "train", config.base_model, case.source, is_decoder=network.is_decoder)
    return network, encoded


def _config(method: str, task: Classification, base_model: BaseModelSpec, **settings: Any) -> TrainConfig:
    return TrainConfig(
        base_model=base_model,
        task=task,
        method_kind=method,
        method=METHODS[method].model_copy(
            update={"dropout": 0.0} if base_model.dropout == 0.0 and method == "lora" else {}
        ),
        training=TrainingSettings.model_validate(
            {"schedule": "linear", "warmup_share": 0.1, "weight_decay": 0.1, "max_grad_norm": 1.0, "keep": "last"}
            | settings
        ),
        seed=SEED,
    )


def _mrpc_case(
    method: str,
    mirror: Path,
    *,
    steps: int = 50,
    base_dropout: float | None = None,
    tokens_at_once: int = WHOLE_STEP,
    accumulation: int = 1,
) -> Case:
    """MiniLM's own config says dropout 0.1, everywhere."""
    return Case(
        config=_config(
            method,
            Classification.model_validate(catalogue_entry("mrpc")),
            BaseModelSpec(name=MINILM, dropout=base_dropout),
            learning_rate=LEARNING_RATES[method],
            batch_size=16,
            steps=steps,
        ),
        source=Source(mirror=mirror),
        tokens_at_once=tokens_at_once,
        accumulation=accumulation,
    )


def _tiny_case(
    name: str,
    method: str,
    folder: Path,
    *,
    num_rows: int,
    base_dropout: float | None = None,
    tokens_at_once: int = WHOLE_STEP,
    accumulation: int = 1,
    model: Mapping[str, Any] | None = None,
) -> Case:
    TINY[name](folder / "base", **(model or {}))
    num_all = math.ceil(num_rows / 0.9)
    texts = _texts(num_all)
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("first", "second", "label"), *texts])
    task = Classification.model_validate(
        {
            "name": "animals",
            "dataset": {"files": {"train": "train.csv", "validation": "train.csv"}},
            "text": "first",
            "text_pair": "second",
            "labels": ["no", "yes"],
            "max_train": num_rows,
        }
    )
    return Case(
        config=_config(
            method,
            task,
            BaseModelSpec(name="./base", dropout=base_dropout),
            learning_rate=10 * LEARNING_RATES[method],
            batch_size=8,
            steps=12,
        ),
        source=Source(study_folder=folder),
        tokens_at_once=tokens_at_once,
        accumulation=accumulation,
    )


def _texts(num_rows: int) -> list[tuple[str, str, str]]:
    draw = random.Random(3)
    rows = []
    for row in range(num_rows):
        first, second = (" ".join(draw.choices(WORDS, k=draw.randint(3, 12))) for _ in range(2))
        rows.append((first, second, "yes" if row % 3 else "no"))
    return rows
