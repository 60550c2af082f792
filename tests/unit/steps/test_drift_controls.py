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
from tunescope.steps import drift_controls
from tunescope.study.configs import DriftControlsConfig

CKA = "debiased_linear_cka"
ALL = ("base_again", "untrained", "shuffled", "random_network", "bf16")


def _run(desk, **more):
    said = {
        "base_model": BaseModelSpec(name="./base"),
        "task": desk.task,
        "measures": (CKA, "relative_change"),
        "pooling": ("mean",),
        "num_examples": None,
        "controls": ALL,
        "untrained": {"lora": Lora(rank=2)},
    }
    facts, out = desk.does(drift_controls.run, DriftControlsConfig(**(said | more)))
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
