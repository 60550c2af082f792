"""Batches that do not fit in memory are computed in smaller ones, each row once."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tunescope.inference.batches import computed_in_batches, evaluation_batches
from tunescope.inference.out_of_memory import TokensAtOnce

LENGTHS = np.array([3, 9, 4, 8, 8, 2, 5, 7, 1, 6])


def _fits(most: int, sizes: list[int]) -> Callable[[np.ndarray], np.ndarray]:
    def compute(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        if len(rows) * LENGTHS[rows].max() > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")
        return rows * 10

    return compute


def test_where_all_fits_the_batches_are_those_asked_for() -> None:
    sizes: list[int] = []
    found = list(computed_in_batches(LENGTHS, 20, _fits(20, sizes)))
    assert [rows.tolist() for rows, _ in found] == [rows.tolist() for rows in evaluation_batches(LENGTHS, 20)]


def test_a_batch_that_does_not_fit_is_halved_and_all_after_it(caplog: pytest.LogCaptureFixture) -> None:
    at_once = TokensAtOnce(64)
    sizes: list[int] = []
    with caplog.at_level(logging.WARNING):
        found = list(computed_in_batches(LENGTHS, at_once, _fits(20, sizes)))
    assert sorted(int(row) for rows, _ in found for row in rows) == list(range(len(LENGTHS)))
    assert all((values == rows * 10).all() for rows, values in found)
    assert (at_once.refused, at_once.used) == (32, 16)
    assert caplog.messages == [
        "out of memory at 7 rows of up to 9 tokens with 64 tokens at once: went on with 32 "
        "(CUDA out of memory. Tried to allocate 2 GiB.)",
        "out of memory at 3 rows of up to 9 tokens with 32 tokens at once: went on with 16 "
        "(CUDA out of memory. Tried to allocate 2 GiB.)",
    ]
    again: list[int] = []
    list(computed_in_batches(LENGTHS, at_once, _fits(20, again)))
    assert len(again) == len(sizes) - 2  # who keeps the object meets no error again


def test_a_single_row_that_does_not_fit_is_an_error() -> None:
    at_once = TokensAtOnce(64)
    with pytest.raises(torch.OutOfMemoryError):
        list(computed_in_batches(LENGTHS, at_once, _fits(8, [])))
    assert at_once.num_rows(9) == 1


def test_other_errors_pass_through_at_once() -> None:
    sizes: list[int] = []

    def compute(rows: np.ndarray) -> None:
        sizes.append(len(rows))
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(computed_in_batches(LENGTHS, 64, compute))
    assert sizes == [7]


def test_what_the_failed_batch_held_is_free_before_the_next_try() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def compute(rows: np.ndarray) -> None:
        assert all(tensor() is None for tensor in held)
        activations = torch.zeros(len(rows))
        held.append(weakref.ref(activations))
        if len(rows) > 2:
            raise MemoryError

    gc.disable()
    try:
        list(computed_in_batches(LENGTHS, 64, compute))
    finally:
        gc.enable()
    assert len(held) > 4
