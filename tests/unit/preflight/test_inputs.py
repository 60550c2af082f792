"""How many tokens a row may have under a model, as its positions are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, RobertaConfig, RobertaModel

from tiny import tiny_bert
from tunescope.errors import StudyError
from tunescope.hub.source import Source
from tunescope.preflight.inputs import _usable_positions, check_lengths, has_room
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


def test_a_training_of_one_step_under_warm_up_is_refused_before_it_runs() -> None:
    study = parse_study(TEXT.replace("full: {}", "full: {}, lora: {warmup_share: 0}, head_only: {batch_size: 8}"), "s")
    study = study.model_copy(update={"training": study.training.updated({"epochs": 1})})
    (task,) = study.tasks
    with pytest.raises(StudyError) as caught:
        check_lengths(study, task, 32)
    assert caught.value.problems == (
        "training of demo_sentiment on 32 rows with full: the only optimiser step is all warm-up, at learning rate 0, and "
        "trains nothing. Set warmup_share: 0, or train for more steps",
    )
    check_lengths(study, task, 33)


def test_a_model_without_positions_for_a_task_has_no_room(tmp_path: Path) -> None:
    tiny_bert(tmp_path / "model", max_position_embeddings=256)
    study = parse_study(TEXT.replace("org/m", "./model"), "s")
    source = Source(study_folder=tmp_path)
    (model,), (task,) = study.base_models, study.tasks
    assert has_room(study, model, task.model_copy(update={"max_length": 256}), source)
    assert not has_room(study, model, task.model_copy(update={"max_length": 257}), source)
