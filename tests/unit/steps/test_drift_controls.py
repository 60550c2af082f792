"""Controls say what drift would be if nothing had happened to the base model, or everything."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from tunescope.drift import kept
from tunescope.drift.row import table_as_rows
from tunescope.methods import AnyPeft, Lora
from tunescope.models.base import BaseModelSpec
from tunescope.representations.side_by_side import StateBatch
from tunescope.steps import drift_controls, drift_inputs
from tunescope.study.configs import DriftControlsConfig

CKA = "debiased_linear_cka"
ALL = ("base_again", "untrained", "shuffled", "random_network", "bf16")


def _run(desk, *, keep=False, **more):
    said = {
        "base_model": BaseModelSpec(name="./base"),
        "task": desk.task,
        "measures": (CKA, "relative_change"),
        "pooling": ("mean",),
        "num_examples": None,
        "controls": ALL,
        "untrained": {"lora": Lora(rank=2)},
    }
    config = DriftControlsConfig(**(said | more))
    facts, out = desk.does(drift_controls.run, config, base=desk.read_base(config, keep=keep))
    return facts, table_as_rows(pq.read_table(out / kept.STATES_NAME)), out


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_nothing_gives_0_and_other_examples_about_1(bench, name):
    facts, rows, out = _run(bench(name))
    drift = facts["drift"]
    assert list(drift) == ["base_again", "bf16", "shuffled", "random_network", "untrained lora"]
    assert abs(drift["base_again"]) < 1e-6
    assert abs(drift["untrained lora"]) < 1e-6
    assert 1e-7 < drift["bf16"] < 0.05
    assert drift["random_network"] > 1e-3
    assert 0.6 < drift["shuffled"] < 1.4
    assert {row.num_examples for row in rows} == {14}
    assert len(json.loads((out / "ids.json").read_text())) == facts["num_examples"] == 14
    again = [row.value for row in rows if (row.compared, row.measure) == ("base_again", "relative_change")]
    assert max(again) < 1e-5, "other batches, the same states"


def test_only_what_is_asked_for_is_measured(bench):
    facts, rows, _ = _run(bench("bert"), controls=("bf16",), untrained={})
    assert set(facts["drift"]) == {"bf16"} == {row.compared for row in rows}


def test_virtual_tokens_that_learnt_nothing_move_the_states(bench):
    prompt = AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 2})
    facts, _, _ = _run(bench("llama"), controls=("untrained",), untrained={"prompt": prompt})
    assert facts["drift"]["untrained prompt"] > 1e-6


def test_tokens_have_every_control_but_other_examples(bench):
    facts, rows, _ = _run(bench("llama"), pooling=("all_tokens", "mean"))
    assert set(facts["drift"]) == {"base_again", "bf16", "random_network", "untrained lora"}
    assert abs(facts["drift"]["base_again"]) < 1e-6
    assert {row.pooling for row in rows if row.compared == "shuffled"} == {"mean"}


def test_more_examples_than_are_held_are_cut(bench, monkeypatch):
    monkeypatch.setattr(drift_controls, "held_limit", lambda num_features: 8)
    facts, rows, _ = _run(bench("bert"), controls=("shuffled",), untrained={})
    assert facts["num_examples"] == 8
    assert {row.num_examples for row in rows} == {8}


@pytest.mark.parametrize("pooling", [("mean", "last_token"), ("mean", "all_tokens")])
def test_controls_are_the_same_whether_the_base_was_kept_or_is_read(bench, pooling):
    desk = bench("llama")
    (read, rows, _), (kept_facts, others, _) = (_run(desk, keep=keep, pooling=pooling) for keep in (False, True))
    assert read["base_was_read"]
    assert kept_facts["base_was_read"] == ("all_tokens" in pooling)
    assert kept_facts["drift"] == pytest.approx(read["drift"], abs=1e-12)
    assert len(rows) == len(others)
    for one, other in zip(rows, others, strict=True):
        for name, value in vars(one).items():
            assert getattr(other, name) == (pytest.approx(value, abs=1e-12) if isinstance(value, float) else value)


def test_a_base_that_was_kept_is_read_again_by_its_own_control_alone(bench, monkeypatch):
    passes = []
    read = drift_controls.paired_states
    monkeypatch.setattr(
        drift_controls, "paired_states", lambda models, *a, **k: passes.append(models) or read(models, *a, **k)
    )
    _run(bench("bert"), keep=True)
    assert [len(models) for models in passes] == [1, 1, 1, 1], "again, in bf16, random weights, untrained"
    base = passes[0][0]
    assert [models[0] is base for models in passes] == [True, True, False, False]


def test_the_base_model_is_loaded_and_the_rows_are_read_once_however_many_there_are(bench, monkeypatch):
    desk, loaded, rows = bench("bert"), [], []
    load, encode = drift_inputs.network_for, drift_inputs.encoded_part
    monkeypatch.setattr(drift_controls, "held_limit", lambda num_features: 8)
    monkeypatch.setattr(drift_inputs, "network_for", lambda *a, **k: loaded.append(a) or load(*a, **k))
    monkeypatch.setattr(drift_inputs, "encoded_part", lambda *a, **k: rows.append(a) or encode(*a, **k))
    config = DriftControlsConfig(
        base_model=BaseModelSpec(name="./base"),
        task=desk.task,
        measures=(CKA,),
        pooling=("mean",),
        num_examples=None,
        controls=("bf16",),
        untrained={},
    )
    base = desk.read_base(config)
    del loaded[:], rows[:]
    facts, _ = desk.does(drift_controls.run, config, base=base)
    assert facts["num_examples"] == 8
    assert len(loaded) == len(rows) == 1


@pytest.mark.parametrize(
    "sizes", [((10,), (3, 3, 4)), ((2, 5, 3), (10,)), ((4, 4, 2), (3, 3, 3, 1)), ((1,) * 10, (7, 3))]
)
def test_two_readings_meet_however_they_are_cut(sizes):
    order = np.random.default_rng(0).permutation(10)

    def cut(lengths, scale):
        start = 0
        for length in lengths:
            places = order[start : start + length]
            tokens = [np.full((place + 1, 2), scale * place) for place in places.tolist()]
            states = {("block_01", "mean"): scale * places[:, None].astype(float), ("block_01", "all_tokens"): tokens}
            yield StateBatch(places=places, states=(states,))
            start += length

    met = list(drift_controls._side_by_side(cut(sizes[0], 1), cut(sizes[1], 2)))
    assert [len(batch.places) for batch in met] == list(sizes[0])
    assert np.concatenate([batch.places for batch in met]).tolist() == order.tolist()
    for batch in met:
        one, other = batch.states
        assert np.array_equal(2 * one["block_01", "mean"], other["block_01", "mean"])
        for first, second in zip(one["block_01", "all_tokens"], other["block_01", "all_tokens"], strict=True):
            assert np.array_equal(2 * first, second)
