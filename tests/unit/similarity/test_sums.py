"""Rows are kept while they are few and folded when they are many, the same way however they come."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tunescope.similarity import sums as row_sums
from tunescope.similarity.cka import debiased_linear_cka
from tunescope.similarity.cross import crossing
from tunescope.similarity.streaming import PairSums, SelfSums

RNG = np.random.default_rng(0)
N = 1500
FAR = RNG.normal(size=(N, 10)) + RNG.normal(size=10) * 1000**0.5
Y = FAR @ RNG.normal(size=(10, 7)) + 2.0 * RNG.normal(size=(N, 7))


def _pass(X: np.ndarray, Y: np.ndarray, *, batch: int) -> PairSums:
    sums = PairSums(X.shape[1], Y.shape[1])
    for start in range(0, len(X), batch):
        sums.update(X[start : start + batch], Y[start : start + batch])
    return sums


def test_the_cut_into_batches_does_not_change_a_bit() -> None:
    found = {_pass(FAR, Y, batch=batch).debiased_linear_cka() for batch in (1, 7, 200, N)}
    assert len(found) == 1


def test_memory_does_not_grow_with_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sums, "_BLOCK", 64)
    monkeypatch.setattr(row_sums, "_FEWEST_KEPT", 100)
    sums, most = PairSums(10, 7), 0
    for start in range(0, N, 30):
        sums.update(FAR[start : start + 30], Y[start : start + 30])
        held = [*sums._kept, *sums._block]
        most = max(most, sum(len(rows) for rows in held))
    assert most <= 2 * (100 + 30)
    assert sums.num_examples == N
    assert sums.debiased_linear_cka() == pytest.approx(debiased_linear_cka(FAR, Y), abs=1e-8)


def test_a_pass_of_many_rows_holds_a_block_and_its_sums() -> None:
    d, rows = 64, np.random.default_rng(1).normal(size=(4096, 64)).astype(np.float32)
    sums = PairSums(d, d)
    for _ in range(2):
        sums.update(rows, rows)
    tracemalloc.start()
    for _ in range(12):  # 49,152 rows, 12 MiB a side
        sums.update(rows, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sums.num_examples == 14 * 4096
    assert peak < 4 * 2**20


def test_batches_are_copied() -> None:
    buffer = FAR[:50].copy()
    sums = PairSums(10, 7)
    sums.update(buffer, Y[:50])
    before = sums.linear_cka()
    buffer[:] = 0.0
    fresh = PairSums.from_arrays(sums.to_arrays())
    assert fresh.linear_cka() == before


def test_rows_are_kept_up_to_where_sums_are_cheaper() -> None:
    most = crossing(1000, 1000)
    assert most > 512
    sums = SelfSums(1000)
    sums.update(np.random.default_rng(0).normal(size=(most, 1000)))
    assert sums.keeps_rows
    assert set(sums.to_arrays()) == {"float_bits", "rows_x"}


def test_after_a_fold_no_row_is_left_to_save() -> None:
    sums = _pass(FAR[:20], Y[:20], batch=5)
    sums.fold()
    arrays = sums.to_arrays()
    assert not any(name.startswith("rows_") for name in arrays)
    assert {name: array.shape for name, array in arrays.items() if name.startswith("Z_")} == {
        "Z_xy": (12, 9),
        "Z_yy": (9, 9),
        "Z_xx": (12, 12),
    }
