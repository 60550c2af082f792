"""Rows of numbers for every kind of tuned folder, with reasons where there is no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.weights.deltas import module_updates
from tunescope.weights.intruders import num_intruders
from tunescope.weights.measure import NO_MATRIX, UNCHANGED, measure_update, update_rows
from tunescope.weights.spectrum import Svd, principal_subspace_cosine, relative_norm, whole_svd
from tunescope.weights.update import LowRank, ModuleUpdate


def test_a_full_model(tune) -> None:
    _, out, base = tune(Full())
    rows = {row.module: row for row in update_rows(out, base, k=5)}
    updates = {update.module: update for update in module_updates(out, base)}
    assert rows.keys() == updates.keys()
    for name, row in rows.items():
        update = updates[name]
        assert row.shape == update.shape
        assert row.relative_norm == relative_norm(update.dense(), update.base)
        assert row.share_changed > 0.9
        if update.base.ndim == 1:
            assert (row.effective_rank, row.directions, row.note) == (None, None, NO_MATRIX)
            continue
        assert row.note == ""
        s = np.linalg.svd(update.dense(), compute_uv=False)
        shares = s[s > 0.0] / s.sum()
        assert row.stable_rank == pytest.approx((s**2).sum() / s[0] ** 2, rel=1e-9)
        assert row.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-9)
        assert 1.0 <= row.stable_rank <= row.effective_rank <= min(row.shape), "noise of every direction"
        assert len(row.top_singular_values) == min(5, *row.shape)
        W, tuned = update.base.astype(np.float64), update.base + update.dense()
        k = row.directions.k
        assert row.directions.tuned_in_base == pytest.approx(principal_subspace_cosine(tuned, W, k=k), abs=1e-9)
        assert row.directions.intruders == num_intruders(W, tuned, k=k)


def test_lora_has_the_rank_it_was_given(tune) -> None:
    _, out, base = tune(Lora(rank=3))
    for row in update_rows(out, base, k=5):
        assert len(row.top_singular_values) == 3
        assert row.effective_rank <= 3.0
        assert (row.directions.k, row.directions.k_update) == (5, 3)
        assert row.directions.update_in_base_by_chance == pytest.approx((np.sqrt(3 / 32),) * 2)
        assert len(row.directions.same_spectrum_intruders.left_cosines) == 5


@pytest.mark.parametrize("method", [Lora(rank=3), Lora(rank=2, use_dora=True), AnyPeft(config_class="IA3Config")])
def test_factors_and_dense_give_the_same_row(tune, method) -> None:
    _, out, base = tune(method)
    for update in module_updates(out, base):
        row = measure_update(update, base_svd=_svd)
        dense = measure_update(replace(update, change=update.dense()), base_svd=_svd)
        assert dense.update_norm == pytest.approx(row.update_norm, rel=1e-12)
        assert dense.share_changed == row.share_changed
        if row.effective_rank is None:
            continue
        assert dense.effective_rank == pytest.approx(row.effective_rank, rel=1e-10)
        assert dense.stable_rank == pytest.approx(row.stable_rank, rel=1e-12)
        assert dense.directions.k_update == row.directions.k_update
        assert dense.directions.update_in_base == pytest.approx(row.directions.update_in_base, abs=1e-10)
        assert dense.directions.intruders == row.directions.intruders


def test_an_untrained_adapter_has_moved_by_nothing(tune) -> None:
    _, out, base = tune(Lora(rank=3), by=0.0)
    rows = update_rows(out, base)
    assert rows
    for row in rows:
        assert (row.update_norm, row.relative_norm, row.share_changed) == (0.0, 0.0, 0.0)
        assert (row.effective_rank, row.directions, row.note) == (None, None, UNCHANGED)


def test_a_head_alone_has_no_row(tune) -> None:
    _, out, base = tune(HeadOnly())
    assert update_rows(out, base) == []


def test_no_number_where_there_is_none(tune) -> None:
    _, out, base = tune(AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 2}))
    (row,) = update_rows(out, base)
    assert row.note == "not available: PROMPT_TUNING adds tokens or prompts beside the weights and changes none"
    assert row.relative_norm is row.update_norm is row.share_changed is row.directions is None


def test_a_base_of_zeros() -> None:
    update = ModuleUpdate(module="w", shape=(3, 3), base=np.zeros((3, 3), np.float32), change=np.eye(3))
    row = measure_update(update, base_svd=_svd)
    assert row.relative_norm is None
    assert row.directions is None
    assert row.stable_rank == pytest.approx(3.0)
    assert row.note == "the base parameter is all zeros: no relative norm"


def test_share_changed_is_what_float32_keeps() -> None:
    base = np.ones((2000, 3), dtype=np.float32)
    change = np.zeros((2000, 3))
    change[:, 0], change[:, 1] = 1e-3, 1e-12
    update = ModuleUpdate(module="w", shape=base.shape, base=base, change=change)
    assert measure_update(update, base_svd=None).share_changed == pytest.approx(1 / 3)
    factors = LowRank(B=np.ones((2000, 1)), A=np.array([[1e-3, 1e-12, 0.0]]), scale=1.0)
    assert measure_update(replace(update, change=factors), base_svd=None).share_changed == pytest.approx(1 / 3)


def test_controls_do_not_depend_on_what_else_is_measured(tune) -> None:
    _, out, base = tune(Lora(rank=2))
    updates = list(module_updates(out, base))
    there = [measure_update(update, base_svd=_svd, seed=4) for update in updates]
    back = [measure_update(update, base_svd=_svd, seed=4) for update in reversed(updates)]
    assert there == back[::-1]
    assert there == update_rows(out, base, seed=4)
    other = measure_update(updates[0], base_svd=_svd, seed=5)
    assert other.directions.intruders == there[0].directions.intruders
    assert other.directions.random_intruders != there[0].directions.random_intruders


def test_base_decompositions_may_be_kept(tune) -> None:
    _, out, base = tune(Lora(rank=2))
    kept: dict[str, Svd] = {}
    num_made = 0

    def keep(name: str, W: np.ndarray) -> Svd:
        nonlocal num_made
        if name not in kept:
            kept[name] = whole_svd(W)
            num_made += 1
        return kept[name]

    assert update_rows(out, base, base_svd=keep) == update_rows(out, base, base_svd=keep) == update_rows(out, base)
    assert num_made == len(kept) == 4
    assert all(row.directions is None for row in update_rows(out, base, directions=False))


@pytest.mark.parametrize("settings", [{"k": 0}, {"thresholds": ()}, {"thresholds": (1.5,)}])
def test_settings_out_of_range(tune, settings) -> None:
    _, out, base = tune(Lora(rank=2))
    with pytest.raises(ValueError, match=r"update_rows: "):
        update_rows(out, base, **settings)


def _svd(_: str, W: np.ndarray) -> Svd:
    return whole_svd(W)
