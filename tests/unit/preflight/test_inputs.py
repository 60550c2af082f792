"""How many tokens a row may have under a model, as its positions are counted."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, RobertaConfig, RobertaModel

from tunescope.preflight.inputs import _usable_positions
from tunescope.study.load import parse_study

TEXT = "name: n\nbase_model: org/m\ntasks: [demo_sentiment]\nmethods: {full: {}}\nseeds: [1]\n"


def test_roberta_counts_positions_from_its_padding() -> None:
    config = RobertaConfig(
        max_position_embeddings=66, vocab_size=9, hidden_size=8, num_attention_heads=1, num_hidden_layers=1
    )
    usable = _usable_positions(config, parse_study(TEXT, "s"))
    assert usable == 64
    model = RobertaModel(config)
    model(torch.full((1, usable), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, usable + 1), 5))


def test_bert_counts_from_nothing_and_virtual_tokens_take_their_part() -> None:
    config = BertConfig(max_position_embeddings=66)
    assert _usable_positions(config, parse_study(TEXT, "s")) == 66
    prompted = TEXT.replace(
        "full: {}", "soft: {type: peft, config_class: PromptTuningConfig, config: {num_virtual_tokens: 6}}"
    )
    assert _usable_positions(config, parse_study(prompted, "s")) == 60
