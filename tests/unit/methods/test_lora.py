"""LoRA's settings reach peft as they were written, and targets a model lacks are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoConfig

from tiny import TINY, tiny_bert, tiny_llama, tiny_network
from tunescope.errors import ModelError
from tunescope.methods import Lora


def test_settings_reach_peft() -> None:
    lora = Lora(rank=4, alpha=12.5, dropout=0.1, target_modules=("k_proj",), use_rslora=True, use_dora=True, bias="all")
    config = lora.peft_config()
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 12.5, 0.1)
    assert (config.target_modules, config.use_rslora, config.use_dora, config.bias) == ({"k_proj"}, True, True, "all")


@pytest.mark.parametrize("use_rslora, scale", [(False, 16 / 4), (True, 16 / 4**0.5)])
def test_the_scale_in_force(use_rslora: bool, scale: float, tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    Lora(rank=4, alpha=16, use_rslora=use_rslora).apply(network.model, "classification", seed=0)
    assert network.model.model.layers[0].self_attn.q_proj.scaling["default"] == scale


@pytest.mark.parametrize(
    "wrong",
    [
        {"rank": 0},
        {"alpha": 0.0},
        {"alpha": float("nan")},
        {"dropout": 1.0},
        {"target_modules": ()},
        {"target_modules": "q_proj"},
        {"bias": "some"},
        {"rnk": 8},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Lora(**wrong)


@pytest.mark.parametrize("name", TINY)
def test_weights_are_the_seeds(name: str, tmp_path: Path) -> None:
    folder = TINY[name](tmp_path)
    random = torch.random.get_rng_state()
    one, same, other = (
        {
            key: w
            for key, w in Lora().apply(tiny_network(folder).model, "classification", seed).named_parameters()
            if "lora_A" in key
        }
        for seed in (1, 1, 2)
    )
    assert torch.equal(random, torch.random.get_rng_state())
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert all(not torch.equal(one[key], other[key]) for key in one)


def test_all_linear_leaves_the_head_alone(tmp_path: Path) -> None:
    for kind, num_modules in (("classification", 13), ("question_answering", 12)):
        network = tiny_network(tiny_bert(tmp_path / kind), task_kind=kind)
        model = Lora(target_modules="all-linear").apply(network.model, kind, seed=0)
        adapted = {name.split(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A" in name}
        assert len(adapted) == num_modules
        assert not any("classifier" in name or "qa_outputs" in name for name in adapted)


def test_missing_targets_are_named_with_what_there_is(tmp_path: Path) -> None:
    network = tiny_network(tiny_bert(tmp_path))
    lora = Lora(target_modules=("q_proj", "valu", "query"))
    with pytest.raises(ModelError) as caught:
        lora.apply(network.model, "classification", seed=0)
    assert str(caught.value) == (
        "method lora on BertForSequenceClassification: target_modules names what the model does not have: q_proj, valu. "
        "Known: dense, key, query, value."
    )
    assert lora.missing_targets(AutoConfig.from_pretrained(tmp_path)) == ("q_proj", "valu")
    assert Lora(target_modules=("query",)).missing_targets(AutoConfig.from_pretrained(tmp_path)) == ()


def test_a_target_that_is_no_layer(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    with pytest.raises(
        ModelError, match=r"LoraConfig does not fit this model: .*LlamaMLP.* Its linear modules: down_proj"
    ):
        Lora(target_modules=("mlp",)).apply(network.model, "classification", seed=0)
