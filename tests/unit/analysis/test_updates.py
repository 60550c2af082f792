"""Rows of weight updates: by parameter with its block, by run and block, and in the mean over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from stored_study import TEXT, StoredStudy
from tunescope.analysis.updates import INTRUDER_THRESHOLD, block_updates, collect_updates
from tunescope.drift.kept import WEIGHTS_NAME
from tunescope.weights.intruders import THRESHOLDS
from tunescope.weights.measure import UpdateRow, measure_update
from tunescope.weights.names import block_of
from tunescope.weights.spectrum import whole_svd
from tunescope.weights.table import updates_as_table
from tunescope.weights.update import WHOLE_MODEL, ModuleUpdate


def _row(module, update, base, shape=(2, 2), rank=1.5, changed=1.0):
    return UpdateRow(
        module=module,
        shape=shape,
        update_norm=update,
        base_norm=base,
        relative_norm=None if update is None else update / base,
        share_changed=changed,
        effective_rank=rank,
        stable_rank=rank,
        top_singular_values=(),
        directions=None,
        note="",
    )


@pytest.fixture
def stored(tmp_path):
    return StoredStudy(tmp_path / "store", TEXT + "drift: {controls: []}\n")


def _commit(stored, label, rows):
    stored.commit(label, {"drift": {}}, {WEIGHTS_NAME: updates_as_table(rows)})


def test_every_parameter_has_its_block_and_its_job(stored):
    _commit(
        stored, "rte-full-seed2-drift", [_row("model.layers.1.mlp.weight", 3.0, 4.0), _row("norm.weight", 0.0, 1.0)]
    )
    first, last = collect_updates(stored.plan, stored.store)
    assert (first.method, first.seed, first.block, first.num_weights) == ("full", 2, 1, 4)
    assert (first.update_norm, first.relative_norm, first.intruders) == (3.0, 0.75, None)
    assert last.block is None
    assert first.job == stored.jobs["rte-full-seed2-drift"].id


def test_a_block_adds_squares_and_weighs_shares_by_weights(stored):
    rows = [
        _row("h.0.a.weight", 3.0, 6.0, shape=(2, 2), rank=2.0, changed=1.0),
        _row("h.0.b.bias", 4.0, 8.0, shape=(12,), rank=None, changed=0.5),
        _row("wte.weight", 0.0, 5.0, changed=0.0),
    ]
    _commit(stored, "rte-full-seed1-drift", rows)
    block, rest, *means = block_updates(collect_updates(stored.plan, stored.store))
    assert (block.block, block.seed, block.num_parameters) == (0, 1, 2)
    assert block.update_norm == pytest.approx(5.0)
    assert block.relative_norm == pytest.approx(0.5)
    assert block.share_changed == pytest.approx((4 * 1.0 + 12 * 0.5) / 16)
    assert (block.stable_rank, block.intruders) == (2.0, None)
    assert (rest.block, rest.relative_norm) == (None, 0.0)
    assert [(one.block, one.seed, one.num_seeds) for one in means] == [(0, None, 1), (None, None, 1)]


def test_a_methods_block_is_the_mean_over_its_seeds(stored):
    for seed, update in ((1, 1.0), (2, 3.0)):
        _commit(
            stored, f"rte-lora-seed{seed}-drift", [_row("h.11.q.weight", update, 4.0), _row("h.2.q.weight", 0, 4.0)]
        )
    found = block_updates(collect_updates(stored.plan, stored.store))
    assert [(one.seed, one.block) for one in found] == [(1, 2), (1, 11), (2, 2), (2, 11), (None, 2), (None, 11)]
    assert (found[-1].relative_norm, found[-1].update_norm, found[-1].num_seeds) == (0.5, 2.0, 2)
    assert found[-1].jobs == tuple(stored.jobs[f"rte-lora-seed{seed}-drift"].id for seed in (1, 2))


def test_a_method_that_adds_no_update_has_no_numbers(stored):
    row = _row(WHOLE_MODEL, None, None, shape=(), rank=None, changed=None)
    _commit(stored, "rte-full-seed1-drift", [row])
    (update,) = collect_updates(stored.plan, stored.store)
    assert (update.num_weights, update.update_norm, update.block) == (0, None, None)
    block = block_updates([update])[0]
    assert (block.update_norm, block.relative_norm, block.share_changed) == (None, None, None)


def test_intruders_are_those_at_the_threshold_that_is_told(stored):
    rng = np.random.default_rng(0)
    change = 50.0 * np.outer(rng.normal(size=8), rng.normal(size=6))
    update = ModuleUpdate(module="h.0.q.weight", shape=(8, 6), base=rng.normal(size=(8, 6)), change=change)
    row = measure_update(update, k=4, base_svd=lambda _, W: whole_svd(W))
    assert row.directions is not None
    _commit(stored, "rte-full-seed1-drift", [row])
    (found,) = collect_updates(stored.plan, stored.store)
    place = THRESHOLDS.index(INTRUDER_THRESHOLD)
    assert found.intruders == row.directions.intruders.left[place]
    assert found.random_intruders == row.directions.random_intruders.left[place]
    assert found.num_directions == 4
    assert block_updates([found])[0].intruders == float(found.intruders)


def test_jobs_that_are_not_done_or_measure_no_weights_add_no_row(tmp_path, stored):
    stored.fail("rte-full-seed1-drift")
    assert collect_updates(stored.plan, stored.store) == []
    unweighed = StoredStudy(tmp_path / "other", TEXT + "drift: {controls: [], weights: false}\n")
    unweighed.commit("rte-full-seed1-drift", {"drift": {}})
    assert collect_updates(unweighed.plan, unweighed.store) == []
    assert block_updates([]) == []


def test_blocks_are_read_off_names():
    names = {
        "encoder.layer.11.output.dense.weight": 11,
        "h.0.w": 0,
        "embeddings.LayerNorm.weight": None,
        WHOLE_MODEL: None,
    }
    assert {name: block_of(name) for name in names} == names
