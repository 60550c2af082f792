"""Losses against float64 formulas, and that only allowed positions take part in a span's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tunescope.training.loss import label_loss, number_loss, span_loss


def _log_softmax(values: np.ndarray) -> np.ndarray:
    shifted = values - values.max()
    return shifted - np.log(np.exp(shifted).sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_loss_is_the_summed_cross_entropy(smoothing: float) -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    targets = np.array([0, 2, 1, 1, 0])
    expected = 0.0
    for row, target in zip(logits, targets, strict=True):
        log_p = _log_softmax(row)
        expected += -(1 - smoothing) * log_p[target] - smoothing * log_p.mean()
    loss = label_loss(torch.tensor(logits), torch.tensor(targets), smoothing)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_number_loss_is_the_summed_squared_error() -> None:
    outputs = torch.tensor([[1.0], [2.5]])
    assert number_loss(outputs, torch.tensor([0.0, 3.0])).item() == pytest.approx(1.0 + 0.25)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_span_loss_leaves_out_what_is_not_allowed(smoothing: float) -> None:
    rng = np.random.default_rng(1)
    start, end = rng.normal(size=(2, 6)), rng.normal(size=(2, 6))
    allowed = np.array([[True, False, True, True, True, False], [True, False, False, True, True, True]])
    targets = np.array([[2, 4], [0, 0]])
    expected = 0.0
    for logits, side in ((start, 0), (end, 1)):
        for row in range(2):
            places = np.flatnonzero(allowed[row])
            log_p = _log_softmax(logits[row, places])
            target = int(np.flatnonzero(places == targets[row, side])[0])
            expected += (-(1 - smoothing) * log_p[target] - smoothing * log_p.mean()) / 2
    loss = span_loss(torch.tensor(start), torch.tensor(end), torch.tensor(targets), torch.tensor(allowed), smoothing)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_span_loss_has_a_finite_gradient() -> None:
    start = torch.zeros(1, 4, requires_grad=True)
    allowed = torch.tensor([[True, False, True, False]])
    span_loss(start, start, torch.tensor([[0, 2]]), allowed, 0.1).backward()
    assert start.grad is not None
    assert torch.isfinite(start.grad).all()
    assert start.grad[0, [1, 3]].tolist() == [0.0, 0.0]
