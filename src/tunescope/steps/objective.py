"""What a training minimises: rows of a task -> their summed loss under a model."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from tunescope.inference.batches import autocast, network_inputs
from tunescope.inference.out_of_memory import is_out_of_memory
from tunescope.models.network import Network
from tunescope.models.padding_free import PaddingFree, PaddingNeededError, prepare_padding_free
from tunescope.study.configs import TrainConfig
from tunescope.tasks.encode import Encoded
from tunescope.training.loss import label_loss, number_loss, span_loss


class Objective:
    """Training rows -> their summed loss under a model."""

    def __init__(
        self, model: nn.Module, network: Network, config: TrainConfig, encoded: Encoded, *, padding_free: bool = False
    ) -> None:
        """Prepares a model for its rows.

        Args:
            model: What the method made of the network.
            network: What the model was made from.
            config: Task, precision and label smoothing.
            encoded: The training rows.
            padding_free: Whether to compute real tokens only, where a trial on some of the rows shows that nothing else
                changes; `padded_because` says why not.

        Raises:
            RuntimeError, MemoryError: If the trial runs out of memory.
        """
        self._model, self._network, self._config, self._encoded = model, network, config, encoded
        self._device = next(model.parameters()).device
        self._padding_free: PaddingFree | None = None
        self.padded_because: str | None = None if padding_free else "compute.padding_free is false"
        """Why rows are padded to the longest of their portion; None where they are not."""
        if padding_free:
            try:
                self._padding_free = prepare_padding_free(network, model, self._trial())
            except PaddingNeededError as reason:
                if reason.__cause__ is not None and is_out_of_memory(reason.__cause__):
                    raise reason.__cause__ from None
                self.padded_because = str(reason)

    @property
    def padding_free(self) -> bool:
        """Whether the rows' own tokens are computed and no padding."""
        return self._padding_free is not None

    def __call__(self, rows: np.ndarray) -> torch.Tensor:
        """The summed loss of some training rows, with a graph."""
        settings, task = self._config.training, self._config.task
        batch = self._inputs(rows)
        with (
            autocast(self._device, settings.precision),
            self._padding_free.on() if self._padding_free else nullcontext(),
        ):
            output = self._model(**batch)
        targets = torch.as_tensor(self._encoded.targets[rows], device=self._device)
        if task.kind == "classification":
            return label_loss(output.logits, targets, settings.label_smoothing)
        if task.kind == "regression":
            return number_loss(output.logits, targets.float())
        allowed = self._allowed(rows, batch["input_ids"].shape[1])
        return span_loss(output.start_logits, output.end_logits, targets, allowed, settings.label_smoothing)

    def _inputs(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        return network_inputs(self._encoded, rows, self._network, self._device)

    def _trial(self) -> dict[str, torch.Tensor]:
        """Rows as long as the longest, a middling one and the shortest, of random tokens: real ones may be the same."""
        by_length = np.argsort(self._encoded.lengths, kind="stable")
        batch = self._inputs(by_length[[-1, len(by_length) // 2, 0]])
        ids = np.random.default_rng(0).integers(0, len(self._network.tokenizer), size=batch["input_ids"].shape)
        return batch | {"input_ids": torch.as_tensor(ids, device=self._device)}

    def _allowed(self, rows: np.ndarray, width: int) -> torch.Tensor:
        """(n, width) bool: the positions an answer may have, context tokens and the null slot."""
        windows = self._encoded.windows
        assert windows is not None
        places = np.arange(width)
        inside = (places >= windows.context_start[rows][:, None]) & (places <= windows.context_end[rows][:, None])
        is_null = places == windows.null_position[rows][:, None]
        return torch.as_tensor(inside | is_null, device=self._device)
