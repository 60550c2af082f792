"""Parameter counts that stand in publications and model cards, told from architectures alone, on the meta device.

TinyLlama 1.1B (Zhang et al., 2024, arXiv:2401.02385): hidden 2048, feed-forward 5632, 22 layers, 32 heads, 4 key/value
heads, vocabulary 32,000, embeddings untied: 1,100,048,384 with its language-model head of 32,000 x 2,048. The backbone
is that less the head. LoRA on q_proj (2048 -> 2048) and v_proj (2048 -> 256): 22 layers x 8 x (4096 + 2304). BERT base
has 109,482,240 (Devlin et al., 2019: "110M"). Counts are exact, so there is no tolerance.
"""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

from tunescope.methods import Full, HeadOnly, Lora
from tunescope.models.counts import count_parameters

TINYLLAMA = LlamaConfig(
    vocab_size=32000,
    hidden_size=2048,
    intermediate_size=5632,
    num_hidden_layers=22,
    num_attention_heads=32,
    num_key_value_heads=4,
    tie_word_embeddings=False,
    num_labels=2,
)
BACKBONE = 1_100_048_384 - 32_000 * 2_048


def _tinyllama() -> LlamaForSequenceClassification:
    return LlamaForSequenceClassification(TINYLLAMA)


def test_tinyllama_with_lora() -> None:
    with torch.device("meta"):
        model = Lora(rank=8, alpha=16, target_modules=("q_proj", "v_proj")).apply(
            _tinyllama(), "classification", seed=0
        )
    counts = count_parameters(model)
    assert all(weight.is_meta for weight in model.parameters())
    assert counts.backbone == BACKBONE == 1_034_512_384
    assert counts.adapter == 1_126_400 == 22 * 8 * ((2048 + 2048) + (2048 + 256))
    assert counts.head == 4_096
    assert counts.trainable == 1_126_400 + 4_096
    assert counts.num_adapter_modules == 44
    assert counts.per_module["model.layers.21.self_attn.q_proj"] == 8 * (2048 + 2048)
    assert counts.per_module["model.layers.0.self_attn.v_proj"] == 8 * (2048 + 256)
    assert counts.per_module["score"] == 4_096


def test_peft_takes_the_same_modules_where_none_are_named() -> None:
    with torch.device("meta"):
        counts = count_parameters(Lora(rank=8).apply(_tinyllama(), "classification", seed=0))
    assert (counts.adapter, counts.num_adapter_modules) == (1_126_400, 44)


@pytest.mark.parametrize("method, trainable", [(Full(), BACKBONE + 4_096), (HeadOnly(), 4_096)])
def test_tinyllama_without_an_adapter(method: Full | HeadOnly, trainable: int) -> None:
    with torch.device("meta"):
        counts = count_parameters(method.apply(_tinyllama(), "classification", seed=0))
    assert (counts.trainable, counts.adapter, counts.total) == (trainable, 0, BACKBONE + 4_096)


def test_bert_base() -> None:
    with torch.device("meta"):
        counts = count_parameters(BertForSequenceClassification(BertConfig(num_labels=2)))
    assert (counts.backbone, counts.head) == (109_482_240, 2 * 768 + 2)
