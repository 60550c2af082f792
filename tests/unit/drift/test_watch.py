"""How often drift is read through a training: as asked where that is cheap, else less often, and said."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from tunescope.drift.watch import DriftWatch, plan_readings
from tunescope.models.network import Network
from tunescope.tasks.encoded import Encoded, Truncation


def _planned(num_examples_seen, every=0.1, available=300, **how):
    readings = plan_readings(every, num_examples_seen, available, **how)
    return readings.num_examples, readings.num_readings


def test_what_is_asked_is_done_where_it_is_cheap():
    readings = plan_readings(0.1, 20_000, 300)
    assert (readings.num_examples, readings.every, readings.num_readings, readings.note) == (125, 0.1, 10, "")
    assert _planned(100_000) == (128, 10)
    assert _planned(3000) == (17, 10)


def test_the_probe_gives_way_then_readings_then_the_probe_then_the_middle():
    seen = (2829, 1600, 800, 400, 343, 342, 20)
    assert [_planned(n) for n in seen] == [(16, 10), (16, 5), (16, 2), (8, 2), (8, 2), (9, 1), (8, 1)]


@pytest.mark.parametrize("head_alone", [False, True])
@pytest.mark.parametrize("every", [0.01, 0.1, 0.3, 0.5, 1.0])
def test_the_cost_that_is_expected_stays_below_5_percent(every, head_alone):
    passes, fewest = (0.75, 593) if head_alone else (2.0, 223)
    for num_seen in [*range(1, fewest + 2), *range(fewest, 30_000, 7)]:
        readings = plan_readings(every, num_seen, 300, head_alone=head_alone)
        assert readings.fit == (num_seen >= fewest)
        if not readings.fit:
            continue
        cost = (readings.num_examples + 2) * (readings.num_readings + 1) / (passes * num_seen)
        assert readings.expected_share == pytest.approx(cost)
        assert cost < 0.05
        assert readings.every >= every


def test_what_is_not_done_as_asked_is_said():
    readings = plan_readings(0.1, 800, 300)
    assert readings.every == 0.5
    assert readings.note == (
        "every 0.5 instead of 0.1: a reading of 16 examples costs about 1.1% of so short a training; these and the base "
        "model's, 3.4%"
    )
    assert plan_readings(0.1, 100, 300).note == (
        "drift is not followed through the training: reading 8 examples once at its end, and of the base model, would cost "
        "about 10% of so short a one"
    )


def test_a_training_of_the_head_alone_is_cheaper_and_bears_fewer_readings():
    assert _planned(1600, head_alone=True) == _planned(600) == (12, 2)


def test_a_spacing_that_is_wide_enough_is_kept_to_the_letter():
    assert plan_readings(0.3, 5000, 300).every == 0.3
    assert plan_readings(1.0, 50, 300).every == 1.0
    assert _planned(5000, every=1.0) == (128, 1)


def test_few_selection_rows_are_all_read():
    assert _planned(5000, available=5) == (5, 10)


@pytest.fixture
def network():
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=40,
        pad_token_id=0,
        num_labels=2,
    )
    model = LlamaForSequenceClassification(config)
    tokenizer = SimpleNamespace(pad_token_id=0)
    return Network(
        model=model, tokenizer=tokenizer, is_decoder=True, head_names=("score.weight",), backbone_prefix="model"
    )


@pytest.fixture
def encoded():
    rng = np.random.default_rng(0)
    return Encoded(
        input_ids=[rng.integers(3, 40, size=length).tolist() for length in rng.integers(4, 9, size=30)],
        token_types=None,
        example_index=np.arange(30, dtype=np.int64),
        targets=np.zeros(30, dtype=np.int64),
        windows=None,
        truncation=Truncation(num_examples=30, num_truncated=0, num_tokens_lost=0),
    )


def _watch(network, encoded, num_seen, every=0.1):
    readings = plan_readings(every, num_seen, len(encoded))
    return DriftWatch(network, encoded, readings=readings, pooling="mean", batch_tokens=256)


@pytest.mark.parametrize(
    "num_seen,due",
    [(100_000, list(range(5, 51, 5))), (1600, [10, 20, 30, 40, 50]), (800, [25, 50]), (200, [50])],
)
def test_readings_are_spread_evenly_and_one_is_at_the_end(network, encoded, num_seen, due):
    watch = _watch(network, encoded, num_seen)
    assert [step for step in range(1, 51) if watch.is_due(step, 50)] == due
    assert len(due) == watch.readings.num_readings


def test_a_training_of_fewer_steps_than_readings_is_read_after_each(network, encoded):
    watch = _watch(network, encoded, 100_000)
    assert [step for step in range(1, 5) if watch.is_due(step, 4)] == [1, 2, 3, 4]


def test_the_base_model_is_at_one_and_a_moved_one_below(network, encoded):
    watch = _watch(network, encoded, 1600)
    before = watch.seconds
    found = watch.read(network.model)
    assert list(found) == ["embeddings", "block_01", "block_02", "final_norm"]
    assert list(found.values()) == pytest.approx([1.0] * 4, abs=1e-9)
    assert watch.seconds > before > 0.0
    assert watch.num_probe == 16
    with torch.no_grad():
        for weight in network.model.parameters():
            weight += 0.3 * weight.std() * torch.randn_like(weight)
    assert watch.read(network.model)["block_02"] < 0.999


def test_states_that_are_all_alike_have_no_value(network, encoded):
    watch = _watch(network, encoded, 1600)
    with torch.no_grad():
        network.model.model.embed_tokens.weight[:] = 1.0
    assert watch.read(network.model)["embeddings"] is None


def test_reading_takes_all_the_seconds_it_says(network, encoded, monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr("tunescope.drift.watch.time.perf_counter", lambda: float(next(ticks)))
    watch = _watch(network, encoded, 1600)
    watch.read(network.model)
    assert watch.seconds == 2.0
