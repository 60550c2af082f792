"""A job of drift: states, weights and ids on disk, one number in the record, and words where there is none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from tunescope.drift import compare_states, kept
from tunescope.drift.row import table_as_rows
from tunescope.errors import DataError, RunError, StoreError
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.representations.kept_states import KeptStates
from tunescope.steps import drift, represent
from tunescope.study.configs import DriftConfig
from tunescope.study.spec import Compute

CKA = "debiased_linear_cka"


def _config(bench, **more):
    said = {
        "base_model": BaseModelSpec(name="./base"),
        "task": bench.task,
        "measures": (CKA, "relative_change", "mutual_knn"),
        "pooling": ("last_token", "mean"),
        "num_examples": None,
        "layer_pairs": True,
        "weights": True,
        "weight_directions": False,
        "random_update": True,
        "keep_states": False,
    }
    return DriftConfig(**(said | more))


def _does(desk, config, *, keep=False, **inputs):
    """The job, after the represent job that it needs."""
    base = {} if "other" in inputs else {"base": desk.read_base(config, keep=keep)}
    return desk.does(drift.run, config, **inputs, **base)


def _rows(out):
    return table_as_rows(pq.read_table(out / kept.STATES_NAME))


@pytest.mark.parametrize("name", ["llama", "bert"])
@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=("full", "lora"))
def test_a_run_has_its_layers_weights_ids_and_one_number(bench, name, method):
    desk = bench(name)
    facts, out = _does(desk, _config(desk), run=desk.tuned(method))
    rows = _rows(out)
    own = [row for row in rows if row.compared == "tuned" and row.pooling == "last_token" and row.measure == CKA]
    assert [row.state for row in own][:3] == ["embeddings", "block_01", "block_02"]
    blocks = [row.value for row in own if row.state.startswith("block_")]
    assert facts["drift"]["tuned"] == pytest.approx(1.0 - np.mean(blocks))
    assert 0.0 < facts["drift"]["tuned"] < 1.0
    assert facts["drift"]["random_update"] > 0.0
    assert facts["num_examples"] == len(json.loads((out / kept.IDS_NAME).read_text())) == 14
    assert facts["notes"] == []
    assert len([row for row in rows if row.measure == "layer_pairs"]) == 2 * 2 * len(own) ** 2
    weights = pq.read_table(out / kept.WEIGHTS_NAME)
    assert weights.num_rows == facts["num_modules"] > 0
    assert set(weights["relative_norm"].to_pylist()) - {None, 0.0}


def test_two_seeds_are_compared_with_each_other(bench):
    desk = bench("llama")
    runs = {"run": desk.tuned(seed=5), "other": desk.tuned(seed=6)}
    config = _config(desk, layer_pairs=False, weights=False, random_update=False)
    facts, out = _does(desk, config, **runs)
    assert set(facts["drift"]) == {"seeds"}
    assert facts["drift"]["seeds"] > 1e-4
    assert {row.compared for row in _rows(out)} == {"seeds"}
    assert not (out / kept.WEIGHTS_NAME).exists()
    again, _ = _does(desk, config, run=runs["run"], other=runs["run"])
    assert again["drift"]["seeds"] == pytest.approx(0.0, abs=1e-9)


def test_a_head_alone_moves_nothing_and_has_no_rows_of_weights(bench):
    desk = bench("bert")
    facts, out = _does(desk, _config(desk, layer_pairs=False), run=desk.tuned(HeadOnly()))
    assert facts["drift"] == pytest.approx({"tuned": 0.0, "random_update": 0.0}, abs=1e-9)
    weights = pq.read_table(out / kept.WEIGHTS_NAME)
    assert weights.num_rows == 0
    assert {"module", "relative_norm", "intruders_left"} <= set(weights.column_names)


def test_virtual_tokens_have_a_drift_and_a_reason_for_no_random_update(bench):
    desk = bench("llama")
    prompt = AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 2})
    facts, out = _does(desk, _config(desk, layer_pairs=False), run=desk.tuned(prompt))
    assert facts["drift"]["tuned"] is not None
    assert facts["drift"]["random_update"] is None
    assert facts["notes"] == [
        "no random update of the same length: its method adds virtual tokens and changes no weight"
    ]
    (note,) = pq.read_table(out / kept.WEIGHTS_NAME)["note"].to_pylist()
    assert note.startswith("not available")


def test_the_first_token_of_a_decoder_has_rows_without_a_value(bench):
    desk = bench("llama")
    facts, out = _does(desk, _config(desk, pooling=("first_token",)), run=desk.tuned())
    assert facts["drift"] == {"tuned": None, "random_update": None}
    of_cka = [row for row in _rows(out) if row.measure in (CKA, "layer_pairs")]
    assert of_cka
    assert all(row.value is None and "nothing to compare" in row.note for row in of_cka)


def test_a_prompt_that_ends_on_one_token_leaves_the_blocks_their_pairs(bench):
    desk = bench("llama")
    desk.write_rows(14, end=" good")
    facts, out = _does(desk, _config(desk, pooling=("last_token",)), run=desk.tuned())
    assert facts["drift"]["tuned"] is not None
    pairs = {(row.state, row.other_state): row.value for row in _rows(out) if row.measure == "layer_pairs"}
    assert pairs["embeddings", "block_01"] is None
    assert pairs["block_01", "block_02"] is not None


def test_tokens_are_compared_without_those_of_one_text(bench):
    desk = bench("llama")
    facts, out = _does(desk, _config(desk, pooling=("all_tokens", "mean")), run=desk.tuned())
    rows = _rows(out)
    blocks = [
        row.value
        for row in rows
        if (row.compared, row.pooling, row.measure) == ("tuned", "all_tokens", CKA) and row.state.startswith("block_")
    ]
    assert facts["drift"]["tuned"] == pytest.approx(1.0 - np.mean(blocks))
    intervals = [row for row in rows if (row.pooling, row.measure) == ("all_tokens", CKA)]
    assert {row.compared for row in intervals} == {"tuned", "random_update"}
    for row in intervals:
        assert row.standard_error is not None
        assert row.ci_low <= row.value <= row.ci_high
        assert "interval" not in row.note, "all texts are held"
    assert {row.note for row in rows if row.pooling == "all_tokens" and row.measure == "mutual_knn"} == {
        "mutual_knn needs pooled states, one vector per text: not of all_tokens"
    }


def test_a_sample_is_the_same_for_every_run_and_batches_change_nothing(bench):
    desk = bench("bert")
    run = desk.tuned()
    facts, out = _does(desk, _config(desk, num_examples=6, weights=False), run=run)
    ids = json.loads((out / kept.IDS_NAME).read_text())
    assert facts["num_examples"] == len(ids) == 6
    desk.context = replace(desk.context, compute=Compute(evaluation_batch_tokens=4096))
    again, other = _does(desk, _config(desk, num_examples=6, weights=False), run=run)
    assert json.loads((other / kept.IDS_NAME).read_text()) == ids
    assert again["token_ids_sha256"] == facts["token_ids_sha256"]
    for one, two in zip(_rows(out), _rows(other), strict=True):
        assert (one.value is None) == (two.value is None)
        if one.value is not None:
            assert one.value == pytest.approx(two.value, abs=1e-5)


def test_too_few_examples_fail_before_anything_is_read(bench):
    desk = bench("bert")
    with pytest.raises(DataError, match="needs at least 4 examples for a debiased CKA, got 3"):
        _does(desk, _config(desk, num_examples=3), run=desk.tuned())


def test_a_broken_weight_is_told_with_layer_and_example(bench):
    desk = bench("bert")
    run = desk.tuned(Full())
    path = run / "model" / "model.safetensors"
    weights = load_file(path)
    weights["bert.encoder.layer.1.output.dense.bias"][0] = float("inf")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(
        RunError, match=r"hidden state block_02 \(last_token\) of model 2 of 3 is not finite for example"
    ):
        _does(desk, _config(desk), run=run)


def test_a_half_precision_base_has_exact_updates(bench):
    desk = bench("llama")
    path = desk.base / "model.safetensors"
    save_file({name: weight.bfloat16() for name, weight in load_file(path).items()}, path, metadata={"format": "pt"})
    facts, out = _does(desk, _config(desk, layer_pairs=False), run=desk.tuned(Full(), by=0.0))
    assert set(pq.read_table(out / kept.WEIGHTS_NAME)["relative_norm"].to_pylist()) == {0.0}
    assert facts["drift"]["tuned"] == pytest.approx(0.0, abs=1e-9)


@pytest.fixture
def forward_passes():
    """Counts forward passes of whole models while it is open."""
    passes = []

    def note(module, _):
        if isinstance(module, PreTrainedModel) and hasattr(module, "score"):
            passes.append(module)

    handle = torch.nn.modules.module.register_module_forward_pre_hook(note)
    yield passes
    handle.remove()


def _same(rows, others):
    assert len(rows) == len(others)
    for one, other in zip(rows, others, strict=True):
        for name, value in vars(one).items():
            assert getattr(other, name) == (pytest.approx(value, abs=1e-12) if isinstance(value, float) else value)


@pytest.mark.parametrize("random_update", [True, False])
@pytest.mark.parametrize("limit", [2048, 8], ids=("held", "summed"))
@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=("full", "lora"))
def test_numbers_are_the_same_whatever_is_kept_and_the_base_is_not_read_where_it_is(
    bench, method, limit, random_update, forward_passes, monkeypatch
):
    monkeypatch.setattr(compare_states, "_HELD_AT_LEAST", limit)
    monkeypatch.setattr(compare_states, "held_limit", lambda num_features: limit)
    monkeypatch.setattr(represent, "held_limit", lambda num_features: limit)
    desk = bench("llama")
    run = desk.tuned(method)
    found = {}
    for keep, keep_states in ((False, False), (True, False), (True, True)):
        config = _config(desk, random_update=random_update, layer_pairs=limit == 2048, keep_states=keep_states)
        base = desk.read_base(config, keep=keep)
        forward_passes.clear()
        facts, out = desk.does(drift.run, config, run=run, base=base)
        found[keep, keep_states] = _rows(out)
        assert facts["base_was_read"] is not keep
        models = 1 + random_update + (not keep)
        assert len({id(model) for model in forward_passes}) == models
        assert len(forward_passes) % models == 0, "each reads every batch"
        states = out / kept.KEPT_STATES_NAME
        assert states.exists() == keep_states
        if keep_states:
            assert states.stat().st_size == facts["kept_bytes"]
            own, of_base = (KeptStates(folder / kept.KEPT_STATES_NAME) for folder in (out, base))
            assert own.names == of_base.names
            last = ("block_02", "mean")
            assert not np.allclose(own.rows(np.arange(14))[last], of_base.rows(np.arange(14))[last])
        else:
            assert facts["kept_bytes"] == 0
    plain = found[False, False]
    assert any(row.value is not None and row.measure == CKA for row in plain)
    _same(plain, found[True, False])
    _same(plain, found[True, True])


def test_single_tokens_are_read_again_and_come_out_the_same(bench):
    desk = bench("llama")
    config, run = _config(desk, pooling=("all_tokens", "mean"), random_update=False), desk.tuned()
    (facts, out), (again, other) = (_does(desk, config, keep=keep, run=run) for keep in (False, True))
    assert facts["base_was_read"]
    assert again["base_was_read"], "states of single tokens are never kept"
    _same(_rows(out), _rows(other))


def test_a_base_that_was_read_in_other_batches_differs_by_rounding(bench):
    desk = bench("bert")
    config, run = _config(desk, weights=False), desk.tuned()
    facts, out = _does(desk, config, run=run)
    desk.context = replace(desk.context, compute=Compute(evaluation_batch_tokens=4096))
    base = desk.read_base(config, keep=True)
    desk.context = replace(desk.context, compute=Compute(evaluation_batch_tokens=64))
    again, other = desk.does(drift.run, config, run=run, base=base)
    assert again["drift"] == pytest.approx(facts["drift"], abs=1e-6)
    for one, two in zip(_rows(out), _rows(other), strict=True):
        assert one.value == pytest.approx(two.value, abs=1e-5)


def test_a_base_that_was_read_on_other_examples_is_refused(bench):
    desk = bench("bert")
    base = desk.read_base(_config(desk, num_examples=6))
    with pytest.raises(StoreError, match="was read on other examples than are compared here"):
        desk.does(drift.run, _config(desk), run=desk.tuned(), base=base)
