"""Pooling under the mask: padding never counts, on whichever side it stands."""

from __future__ import annotations

import pytest
import torch

from tunescope.representations.reads import pool, tokens_of

_ROW = torch.tensor([[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]])


def _padded(side, width=5, value=1e9):
    """One row of three tokens among padding that would be seen at once, and one row without padding."""
    hidden = torch.full((2, width, 2), value)
    mask = torch.zeros(2, width, dtype=torch.long)
    at = slice(0, 3) if side == "right" else slice(width - 3, width)
    hidden[0, at], mask[0, at] = _ROW, 1
    hidden[1], mask[1] = torch.arange(2.0 * width).reshape(width, 2), 1
    return hidden, mask


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "how,expected",
    [
        ("last_token", [[6.0, 60.0], [8.0, 9.0]]),
        ("first_token", [[1.0, 10.0], [0.0, 1.0]]),
        ("mean", [[3.0, 30.0], [4.0, 5.0]]),
    ],
)
def test_padding_never_counts(side, how, expected):
    hidden, mask = _padded(side)
    assert torch.equal(pool(hidden, mask, how), torch.tensor(expected))


@pytest.mark.parametrize("how", ["last_token", "first_token", "mean"])
def test_the_result_is_fp32_whatever_comes_in(how):
    hidden, mask = _padded("right", value=0.0)
    pooled = pool(hidden.to(torch.bfloat16), mask, how)
    assert pooled.dtype == torch.float32
    assert pooled.shape == (2, 2)


@pytest.mark.parametrize("how", ["last_token", "first_token"])
def test_a_gap_in_the_mask_does_not_move_the_ends(how):
    hidden = torch.arange(4.0).reshape(1, 4, 1)
    mask = torch.tensor([[1, 0, 1, 0]])
    assert pool(hidden, mask, how).item() == (2.0 if how == "last_token" else 0.0)


def test_infinite_padding_does_not_leak_into_the_mean():
    hidden, mask = _padded("right", value=float("inf"))
    assert torch.equal(pool(hidden, mask, "mean")[0], torch.tensor([3.0, 30.0]))


@pytest.mark.parametrize("side", ["left", "right"])
def test_all_tokens_are_those_of_the_mask_in_their_order(side):
    hidden, mask = _padded(side)
    first, second = tokens_of(hidden.to(torch.float64), mask)
    assert torch.equal(first, _ROW)
    assert torch.equal(second, torch.arange(10.0).reshape(5, 2))
    assert first.dtype == torch.float32


def test_a_mask_may_be_float():
    """As PEFT makes it where it puts learned tokens in front."""
    hidden, mask = _padded("left")
    for how in ("last_token", "first_token", "mean"):
        assert torch.equal(pool(hidden, mask.float(), how), pool(hidden, mask, how))


def test_a_mean_of_bf16_states_is_summed_in_fp32():
    hidden = torch.full((1, 1000, 1), 1.0, dtype=torch.bfloat16)
    hidden[0, 0] = 257.0  # 256 in bf16: its last place is 2, so a bf16 sum would lose every 1
    assert pool(hidden, torch.ones(1, 1000), "mean").item() == pytest.approx((256 + 999) / 1000)
