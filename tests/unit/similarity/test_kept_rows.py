"""Rows are kept as they came, whatever the batches."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.similarity import kept_rows
from tunescope.similarity.kept_rows import KeptRows

X = np.random.default_rng(0).normal(size=(50, 3)) + 5.0


def _kept(X: np.ndarray, batch: int) -> KeptRows:
    kept = KeptRows(X.shape[1])
    for start in range(0, len(X), batch):
        kept.append(X[start : start + batch])
    return kept


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_rows, "_ROWS_PER_BLOCK", 16)


@pytest.mark.parametrize("batch", [1, 16, 17, 50])
def test_the_same_blocks_and_mean_however_rows_came(batch: int) -> None:
    kept = _kept(X, batch)
    assert [len(block) for block in kept] == [16, 16, 16, 2]
    assert len(kept) == 50
    np.testing.assert_array_equal(kept.together(), X)
    np.testing.assert_array_equal(kept.mean(20), _kept(X, 50).mean(20))
    np.testing.assert_allclose(kept.mean(20), X[:20].mean(axis=0), rtol=1e-14)


def test_narrow_rows_stay_narrow_and_wide_ones_wide() -> None:
    kept = KeptRows(3)
    for dtype in (np.float16, np.float32, np.float64, np.int64):
        kept.append(X[:5].astype(dtype))
    assert [(len(block), block.dtype) for block in kept] == [(10, np.float32), (10, np.float64)]


def test_blocks_are_let_go() -> None:
    kept = _kept(X, 7)
    np.testing.assert_array_equal(np.concatenate(list(kept.pop_blocks())), X)
    assert len(kept) == 0
    assert kept.together().shape == (0, 3)
