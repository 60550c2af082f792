"""How a run trains: every setting that bears on its result, with the defaults of the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tunescope.fields import Count, Frozen, Share

DEFAULT_EPOCHS = 3.0


class TrainingSettings(Frozen):
    """The settings of one training. What is here is in force: the record reads it back from optimiser and model."""

    learning_rate: Annotated[float, Field(gt=0.0, le=10.0)] = 2e-5
    """Peak learning rate of AdamW."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    """Rows per optimiser step, whatever the micro-batches they are computed in. A row is an example; for question
    answering a window of a context, of which a long context has several."""
    epochs: Annotated[float, Field(gt=0.0, le=10_000.0)] | None = None
    """Passes over the training rows; 3 where neither epochs nor steps is given."""
    steps: Count | None = None
    """Optimiser steps, instead of epochs."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """What the learning rate does after warm-up."""
    warmup_share: Share = 0.06
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0)] = 0.01
    """Decoupled weight decay; biases and normalisation layers are left out, as Hugging Face's `Trainer` leaves them out."""
    adam_beta1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    adam_beta2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    adam_epsilon: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-8
    max_grad_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    """Gradients are scaled down to this L2 norm; null never clips."""
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 is autocast over fp32 master weights."""
    evaluate_every: Literal["epoch"] | Count = "epoch"
    """How often the selection rows are scored: every epoch, or every so many steps. The end is always scored."""
    early_stopping_patience: Count | None = None
    """Stop after so many scorings without a better selection score."""
    keep: Literal["best", "last"] = "best"
    """Which weights the run ends with: those of the best selection score, or the last."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give 'epochs' or 'steps', not both")
        return self

    def num_steps(self, num_train: int) -> int:
        """Optimiser steps over `num_train` rows; the last batch of an epoch may be smaller.

        Part of an epoch is rounded up to whole steps, as Hugging Face's `Trainer` does. Rows are encoded rows: for question
        answering the windows of the contexts.
        """
        if self.steps is not None:
            return self.steps
        steps_per_epoch = -(-num_train // self.batch_size)
        return math.ceil((self.epochs if self.epochs is not None else DEFAULT_EPOCHS) * steps_per_epoch)

    def why_untrained(self, num_steps: int) -> str:
        """Why a run of so many optimiser steps would leave the weights as they are; empty where it would not."""
        if num_steps == 1 and self.warmup_share > 0.0:
            return (
                "the only optimiser step is all warm-up, at learning rate 0, and trains nothing. "
                "Set warmup_share: 0, or train for more steps"
            )
        return ""

    def updated(self, changes: Mapping[str, object]) -> TrainingSettings:
        """A changed copy, validated; giving `steps` drops `epochs` and the other way round."""
        values = self.model_dump()
        if changes.get("steps") is not None:
            values["epochs"] = None
        if changes.get("epochs") is not None:
            values["steps"] = None
        return TrainingSettings.model_validate(values | dict(changes))
