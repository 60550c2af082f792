"""The loss of rows, summed, so that how a batch is split changes nothing."""

from __future__ import annotations

import torch
from torch.nn import functional


def label_loss(logits: torch.Tensor, targets: torch.Tensor, label_smoothing: float) -> torch.Tensor:
    """Summed cross-entropy.

    Args:
        logits: (n, num_labels), taken to float32.
        targets: (n,) int64 label ids.
        label_smoothing: Share of the target spread evenly over all labels (Szegedy et al., 2016, arXiv:1512.00567).
    """
    return functional.cross_entropy(logits.float(), targets, reduction="sum", label_smoothing=label_smoothing)


def number_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Summed squared error of (n, 1) outputs and (n,) float32 targets."""
    return functional.mse_loss(outputs.float().squeeze(-1), targets, reduction="sum")


def span_loss(
    start_logits: torch.Tensor,
    end_logits: torch.Tensor,
    targets: torch.Tensor,
    allowed: torch.Tensor,
    label_smoothing: float,
) -> torch.Tensor:
    """Summed cross-entropy of span ends over the positions an answer may have; the mean of start and end.

    Args:
        start_logits: (n, seq).
        end_logits: (n, seq).
        targets: (n, 2) int64 positions of the first and last token of the answer, or of the null slot twice.
        allowed: (n, seq) bool: context tokens and the null slot; no other position takes part.
        label_smoothing: Share of the target spread evenly over the allowed positions.
    """
    losses = [
        _masked_cross_entropy(logits.float(), targets[:, side], allowed, label_smoothing)
        for side, logits in enumerate((start_logits, end_logits))
    ]
    return (losses[0] + losses[1]) / 2


def _masked_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, allowed: torch.Tensor, label_smoothing: float
) -> torch.Tensor:
    log_probabilities = logits.masked_fill(~allowed, float("-inf")).log_softmax(dim=-1)
    on_target = -log_probabilities.gather(1, targets[:, None]).sum()
    if label_smoothing == 0.0:
        return on_target
    even = -(log_probabilities.masked_fill(~allowed, 0.0).sum(dim=-1) / allowed.sum(dim=-1)).sum()
    return (1.0 - label_smoothing) * on_target + label_smoothing * even
