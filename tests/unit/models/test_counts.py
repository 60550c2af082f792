"""Counts add up, and name modules as the base model does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny import tiny_bert, tiny_llama, tiny_network
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.models.counts import count_parameters

METHODS = (
    Full(),
    HeadOnly(),
    Lora(rank=2),
    Lora(rank=2, bias="all"),
    Lora(rank=2, use_dora=True),
    AnyPeft(config_class="IA3Config"),
    AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 3}),
)


@pytest.mark.parametrize("tiny", [tiny_llama, tiny_bert])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_parts_add_up(method, tiny, tmp_path: Path) -> None:
    network = tiny_network(tiny(tmp_path))
    before = count_parameters(network.model)
    model = method.apply(network.model, "classification", seed=1)
    counts = count_parameters(model)
    assert (counts.backbone, counts.head) == (before.backbone, before.head)
    assert counts.total == counts.backbone + counts.head + counts.adapter
    assert counts.trainable == sum(counts.per_module.values())
    assert counts.trainable == sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert (counts.adapter == 0) == isinstance(method, Full | HeadOnly)


def test_lora_module_by_module(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    counts = count_parameters(
        Lora(rank=2, target_modules=("q_proj", "v_proj")).apply(network.model, "classification", 0)
    )
    assert counts.per_module == {
        "model.layers.0.self_attn.q_proj": 2 * (32 + 32),
        "model.layers.0.self_attn.v_proj": 2 * (32 + 16),
        "model.layers.1.self_attn.q_proj": 2 * (32 + 32),
        "model.layers.1.self_attn.v_proj": 2 * (32 + 16),
        "score": 2 * 32,
    }
    assert (counts.num_adapter_modules, counts.adapter, counts.head) == (4, 448, 64)


def test_head_only_and_full(tmp_path: Path) -> None:
    network = tiny_network(tiny_bert(tmp_path), task_kind="question_answering")
    head = count_parameters(HeadOnly().apply(network.model, "question_answering", 0))
    assert head.per_module == {"qa_outputs": 2 * 32 + 2}
    full = count_parameters(Full().apply(network.model, "question_answering", 0))
    assert full.trainable == full.total == head.total
    assert full.per_module["bert.encoder.layer.1.attention.self.query"] == 32 * 32 + 32


def test_prompts_are_adapter_parameters(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    method = AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 3})
    counts = count_parameters(method.apply(network.model, "classification", seed=1))
    assert (counts.adapter, counts.head, counts.num_adapter_modules) == (3 * 32, 64, 0)
