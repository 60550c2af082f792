"""The sides of `training_throughput.py`: the same weights and rows trained by our loop and by Hugging Face's `Trainer`."""

from __future__ import annotations

import copy
import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from training_throughput_work import PAD_ID, SEED, WARM_UP_STEPS, Work
from transformers import (
    DataCollatorWithPadding,
    LlamaConfig,
    LlamaForQuestionAnswering,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from tunescope.methods import Method
from tunescope.methods.head import head_parameters
from tunescope.models.alignment import align_decoder
from tunescope.models.base import BaseModelSpec
from tunescope.models.network import Network
from tunescope.steps.objective import Objective
from tunescope.steps.train import is_head
from tunescope.study.configs import TrainConfig
from tunescope.study.settings import TrainingSettings
from tunescope.training.checkpoint import trainable
from tunescope.training.loop import train
from tunescope.training.loss import label_loss, span_loss
from tunescope.training.progress import Progress
from tunescope.training.run import Run, SelectionScore

LEARNING_RATE = {"full": 1e-4, "lora": 1e-3}
REFERENCE_MICRO_BATCH = 2


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is trained and how: one row of the table."""

    work: Work
    method_kind: str
    method: Method
    base: Any
    """Hugging Face model with a head, as every side starts."""
    precision: str
    micro_batch_tokens: int
    """Of our loop."""
    clock: Callable[[], float] = time.perf_counter
    """Seconds."""

    @property
    def device(self) -> torch.device:
        return torch.device(next(self.base.parameters()).device)

    @property
    def settings(self) -> TrainingSettings:
        """Of the optimiser, the same on every side."""
        return TrainingSettings.model_validate(
            {
                "learning_rate": LEARNING_RATE[self.method_kind],
                "batch_size": self.work.batch_size,
                "steps": self.work.num_steps + WARM_UP_STEPS,
                "schedule": "constant",
                "warmup_share": 0.0,
                "max_grad_norm": 1.0,
                "precision": self.precision,
                "keep": "last",
            }
        )


@dataclass(kw_only=True)
class Timed:
    """Seconds of the timed steps of one side, and the losses of the warm-up."""

    device: torch.device
    last_step: int
    clock: Callable[[], float]
    seconds: float = 0.0
    warm_up_losses: list[float] = field(default_factory=list)
    padding_share: float = 0.0
    """Of the tokens computed in the timed steps."""
    peak_gib: float | None = None
    """Of GPU memory; None on a CPU, whose process all sides share."""

    def step_done(self, step: int) -> None:
        """Steps count from 1."""
        if step == WARM_UP_STEPS:
            self._synchronise()
            self.seconds = -self.clock()
        elif step == self.last_step:
            self._synchronise()
            self.seconds += self.clock()

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def base_model(work: Work, architecture: dict[str, int], device: torch.device) -> Any:
    """A random Llama under a new head for the task."""
    is_spans = work.task.kind == "question_answering"
    config = LlamaConfig(**architecture, num_labels=2, pad_token_id=PAD_ID, use_cache=False)
    torch.manual_seed(SEED)
    with device:
        return (LlamaForQuestionAnswering if is_spans else LlamaForSequenceClassification)(config)


def measured(cell: Cell, side: Callable[[Cell, Timed, Path], None]) -> Timed:
    """One training of a side, from the cell's weights; memory is given back afterwards."""
    timed = Timed(device=cell.device, last_step=cell.work.num_steps + WARM_UP_STEPS, clock=cell.clock)
    is_gpu = cell.device.type == "cuda"
    if is_gpu:
        torch.cuda.reset_peak_memory_stats(cell.device)
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        side(cell, timed, Path(folder))
    if is_gpu:
        timed.peak_gib = torch.cuda.max_memory_allocated(cell.device) / 2**30
    gc.collect()
    if is_gpu:
        torch.cuda.empty_cache()
    return timed


def our_run(cell: Cell, scratch: Path) -> Run:
    """What `steps/train.py` gives to the loop, from the cell's weights."""
    work, settings = cell.work, cell.settings
    model = copy.deepcopy(cell.base)
    prefix = model.base_model_prefix
    align_decoder(getattr(model, prefix), one_output_per_row=work.task.kind != "question_answering")
    network = Network(
        model=model,
        tokenizer=_tokenizer(),
        is_decoder=True,
        head_names=head_parameters(model),
        backbone_prefix=prefix,
    )
    config = TrainConfig(
        base_model=BaseModelSpec(name="random"),
        task=work.task,
        method_kind=cell.method_kind,
        method=cell.method,
        training=settings,
        seed=SEED,
    )
    tuned = cell.method.apply(model, work.task.kind, SEED)
    objective = Objective(tuned, network, config, work.encoded, padding_free=True)
    return Run(
        model=tuned,
        lengths=work.encoded.lengths,
        loss_sum=objective,
        padding_free=objective.padding_free,
        score=lambda: SelectionScore(value=None),
        settings=settings,
        seed=SEED,
        head_names=frozenset(name for name in trainable(tuned) if is_head(name, network)),
        scratch=scratch,
    )


def ours(cell: Cell, timed: Timed, folder: Path) -> None:
    """The package's own loop, logging every step as it does in a study."""

    def report(progress: Progress) -> None:
        timed.step_done(progress.step)
        if progress.step <= WARM_UP_STEPS:
            timed.warm_up_losses.append(progress.loss)

    trained = train([our_run(cell, folder)], micro_batch_tokens=cell.micro_batch_tokens, report=report)[0]
    timed.padding_share = trained.padding_share


def best_trainer(cell: Cell, timed: Timed, folder: Path) -> None:
    """`Trainer` as fast as its settings make it: whole batches of like length padded to their longest row, nothing logged."""
    work, is_gpu = cell.work, cell.device.type == "cuda"
    features = [_feature(work, row) for row in range(len(work.encoded))]
    collator = DataCollatorWithPadding(_tokenizer(), pad_to_multiple_of=8 if is_gpu else None)
    arguments = {
        "per_device_train_batch_size": work.batch_size,
        "train_sampling_strategy": "group_by_length",
        "dataloader_num_workers": 2 if is_gpu else 0,
        "dataloader_persistent_workers": is_gpu,
    }
    _train_theirs(cell, timed, folder, features, collator, work.grouped, arguments)
    batches = work.encoded.lengths[work.grouped].reshape(-1, work.batch_size)[WARM_UP_STEPS:]
    timed.padding_share = 1.0 - float(batches.sum()) / float(batches.max(axis=1).sum() * work.batch_size)


def reference_trainer(cell: Cell, timed: Timed, folder: Path) -> None:
    """`Trainer` as the reference study used it: rows padded to the split's longest, 2 at a time, checkpointed."""
    work = cell.work
    features = []
    for row in range(len(work.encoded)):
        feature = _feature(work, row)
        ids = feature["input_ids"]
        gap = work.longest_in_split - len(ids)
        features.append(feature | {"input_ids": ids + [PAD_ID] * gap, "attention_mask": [1] * len(ids) + [0] * gap})
    arguments = {
        "per_device_train_batch_size": REFERENCE_MICRO_BATCH,
        "gradient_accumulation_steps": work.batch_size // REFERENCE_MICRO_BATCH,
        "activation_checkpointing": True,
        "activation_checkpointing_kwargs": {"use_reentrant": False},
    }
    _train_theirs(cell, timed, folder, features, default_data_collator, work.dealt, arguments)
    timed.padding_share = 1.0 - float(work.encoded.lengths[work.timed].mean()) / work.longest_in_split


SIDES: dict[str, Callable[[Cell, Timed, Path], None]] = {
    "ours": ours,
    "best Trainer": best_trainer,
    "reference Trainer": reference_trainer,
}


def _train_theirs(
    cell: Cell,
    timed: Timed,
    folder: Path,
    features: list[dict[str, Any]],
    collator: Callable[[list[dict[str, Any]]], dict[str, Any]],
    order: np.ndarray,
    arguments: dict[str, Any],
) -> None:
    settings = cell.settings
    loss = _Loss(is_spans=cell.work.task.kind == "question_answering")
    trainer = _InOrder(
        model=cell.method.apply(copy.deepcopy(cell.base), cell.work.task.kind, SEED),
        args=TrainingArguments(
            output_dir=str(folder),
            max_steps=settings.steps,
            learning_rate=settings.learning_rate,
            lr_scheduler_type=settings.schedule,
            weight_decay=settings.weight_decay,
            adam_beta1=settings.adam_beta1,
            adam_beta2=settings.adam_beta2,
            adam_epsilon=settings.adam_epsilon,
            max_grad_norm=settings.max_grad_norm or 0.0,
            optim="adamw_torch_fused",
            bf16=settings.precision == "bf16",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=cell.device.type == "cpu",
            **arguments,
        ),
        train_dataset=features,
        data_collator=collator,
        compute_loss_func=loss,
        callbacks=[_Steps(timed)],
        order=order.tolist(),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    per_step = len(loss.seen) // (settings.steps or 1)
    for step in range(WARM_UP_STEPS):
        timed.warm_up_losses.append(sum(float(part) for part in loss.seen[step * per_step : (step + 1) * per_step]))


class _InOrder(Trainer):  # type: ignore[misc]
    """`Trainer` that reads its rows in a given order."""

    def __init__(self, *, order: list[int], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._order = order

    def _get_train_sampler(self, train_dataset: Any = None) -> list[int]:
        return self._order


class _Steps(TrainerCallback):  # type: ignore[misc]
    def __init__(self, timed: Timed) -> None:
        self._timed = timed

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._timed.step_done(state.global_step)


class _Loss:
    """Our loss as `Trainer` wants it: the part that a micro-batch has in the mean over its step's rows."""

    def __init__(self, *, is_spans: bool) -> None:
        self._is_spans = is_spans
        self.seen: list[torch.Tensor] = []

    def __call__(self, output: Any, labels: torch.Tensor, *, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        labels_per_row = labels.numel() // len(labels)  # `Trainer` counts them all
        if self._is_spans:
            places = torch.arange(output.start_logits.shape[1], device=labels.device)
            first, last, null = (labels[:, column, None] for column in (2, 3, 4))
            allowed = ((places >= first) & (places <= last)) | (places == null)
            total = span_loss(output.start_logits, output.end_logits, labels[:, :2], allowed, 0.0)
        else:
            total = label_loss(output.logits, labels, 0.0)
        loss = total * labels_per_row / num_items_in_batch
        self.seen.append(loss.detach())
        return loss


def _feature(work: Work, row: int) -> dict[str, Any]:
    windows = work.encoded.windows
    ids = list(work.encoded.input_ids[row])
    if windows is None:
        return {"input_ids": ids, "labels": int(work.encoded.targets[row])}
    places = (windows.context_start[row], windows.context_end[row], windows.null_position[row])
    return {"input_ids": ids, "labels": [int(place) for place in (*work.encoded.targets[row], *places)]}


def _tokenizer() -> Any:
    """Knows how to pad, which is all that is asked of it."""
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"<pad>": PAD_ID})), pad_token="<pad>")
