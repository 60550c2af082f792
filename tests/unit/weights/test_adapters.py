"""Adapters of every kind: the update read module by module is the one that peft's merge of the whole model makes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tiny import tiny_network
from tunescope.errors import ModelError
from tunescope.methods import AnyPeft, Lora
from tunescope.weights.deltas import module_updates
from tunescope.weights.update import WHOLE_MODEL, LowRank

FACTORED = {
    "plain": Lora(rank=3),
    "rslora": Lora(rank=3, use_rslora=True),
    "all-linear": Lora(rank=2, target_modules="all-linear"),
    "patterns": AnyPeft(
        config_class="LoraConfig",
        config={
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ["query", "value"],
            "rank_pattern": {"layer.1.attention.self.query": 2},
            "alpha_pattern": {"value": 32},
        },
    ),
    "embeddings": AnyPeft(config_class="LoraConfig", config={"r": 2, "target_modules": ["word_embeddings", "query"]}),
}
MERGED = {
    "dora": Lora(rank=2, use_dora=True),
    **{
        kind: AnyPeft(config_class=f"{kind}Config")
        for kind in ("IA3", "LoHa", "LoKr", "OFT", "HRA", "FourierFT", "Psoft", "Gralora")
    },
}


@pytest.mark.parametrize("label", [*FACTORED, *MERGED])
def test_equals_the_whole_model_merged(tune, label: str) -> None:
    method = (FACTORED | MERGED)[label]
    model, out, base = tune(method)
    updates = {update.module: update for update in module_updates(out, base)}
    assert all(isinstance(update.change, LowRank) == (label in FACTORED) for update in updates.values())
    _assert_merged(model, updates, base)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("method", [Lora(rank=2, target_modules="all-linear"), AnyPeft(config_class="IA3Config")])
def test_other_architectures(tune, name: str, method) -> None:
    """GPT-2's Conv1D keeps its weight transposed, some of them square."""
    model, out, base = tune(method, name)
    _assert_merged(model, {update.module: update for update in module_updates(out, base)}, base)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_under_a_question_answering_head(tune, name: str) -> None:
    model, out, base = tune(Lora(rank=2), name, "question_answering")
    updates = {update.module: update for update in module_updates(out, base)}
    _assert_merged(model, updates, base, "question_answering")


def test_trained_biases_and_whole_modules_are_updates_too(tune) -> None:
    config = {"r": 2, "target_modules": ["query"], "bias": "all", "modules_to_save": ["pooler"]}
    model, out, base = tune(AnyPeft(config_class="LoraConfig", config=config))
    updates = {update.module: update for update in module_updates(out, base)}
    assert {"pooler.dense.weight", "encoder.layer.0.attention.self.query.bias"} <= updates.keys()
    assert not any("classifier" in name for name in updates)
    _assert_merged(model, updates, base)


@pytest.mark.parametrize("kind", ["PromptTuning", "PrefixTuning", "Vera", "RandLora"])
def test_no_update_is_said_not_made_up(tune, kind: str) -> None:
    config = {"num_virtual_tokens": 3} if "Tuning" in kind else {}
    _, out, base = tune(AnyPeft(config_class=f"{kind}Config", config=config))
    (update,) = module_updates(out, base)
    assert update.module == WHOLE_MODEL
    assert update.change is None
    assert "changes none" in update.reason or "share" in update.reason


def test_a_bias_where_the_base_has_none_is_said(tune) -> None:
    _, out, base = tune(AnyPeft(config_class="BeftConfig"), "llama")
    updates = list(module_updates(out, base))
    assert updates
    assert all(update.change is None and "cannot merge" in update.reason for update in updates)


def test_an_initialisation_that_rewrites_the_base_is_said(tune) -> None:
    _, out, base = tune(Lora(rank=2))
    _edit(out, init_lora_weights="pissa")
    (update,) = module_updates(out, base)
    assert "pissa, which rewrites the base weights" in update.reason


@pytest.mark.parametrize(
    "edit, message",
    [
        ({"r": 5}, r"says rank 5, the factors are \(2, 32\) and \(32, 2\)"),
        ({"peft_type": "NO_SUCH"}, r"adapter_config.json cannot be used"),
    ],
)
def test_a_config_that_is_not_the_weights_own(tune, edit, message: str) -> None:
    _, out, base = tune(Lora(rank=2))
    _edit(out, **edit)
    with pytest.raises(ModelError, match=message):
        list(module_updates(out, base))


def test_a_missing_config(tune) -> None:
    _, out, base = tune(Lora(rank=2))
    (out / "adapter" / "adapter_config.json").unlink()
    with pytest.raises(ModelError, match=r"adapter_config.json is missing"):
        list(module_updates(out, base))


def test_the_global_generator_is_left_alone(tune) -> None:
    _, out, base = tune(Lora(rank=2, use_dora=True))
    before = torch.random.get_rng_state()
    assert list(module_updates(out, base))
    assert torch.equal(before, torch.random.get_rng_state())


def _edit(out, **fields: object) -> None:
    path = out / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | fields), encoding="utf-8")


def _assert_merged(model, updates, base, kind: str = "classification") -> None:
    """`updates` are all that a merge in float64 moves in the backbone."""
    network = tiny_network(base, task_kind=kind)
    prefix = network.backbone_prefix
    before = {name: w.double() for name, w in getattr(network.model, prefix).named_parameters()}
    after = dict(getattr(model.double().merge_and_unload(), prefix).named_parameters())
    moved = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    named = {own: update for update in updates.values() for own in before if _ends_with(update.module, own)}
    assert moved
    assert named.keys() == moved
    assert len(named) == len(updates)
    for own, update in named.items():
        expected = (after[own] - before[own]).detach().numpy()
        np.testing.assert_allclose(
            update.dense(), expected, rtol=0, atol=1e-14 * max(1.0, np.abs(after[own].detach().numpy()).max())
        )


def _ends_with(name: str, own: str) -> bool:
    return name == own or name.endswith(f".{own}")
