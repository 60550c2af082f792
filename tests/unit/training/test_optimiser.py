"""What decays, and what of the settings is read back: held against transformers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import Trainer

from tiny import TINY, tiny_network
from tunescope.methods import METHODS, Full
from tunescope.training.optimiser import decaying_names, dropouts_in_force

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "full": ("full", {}),
    "lora": ("lora", {"rank": 2}),
    "dora": ("lora", {"rank": 2, "use_dora": True}),
    "ia3": ("peft", {"config_class": "IA3Config"}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", TINY)
def test_what_decays_is_what_decays_in_hugging_faces_trainer(name: str, case: str, tmp_path: Path) -> None:
    kind, fields = CASES[case]
    model = METHODS[kind].model_validate(fields).apply(tiny_network(TINY[name](tmp_path)).model, "classification", 0)
    expected = set(Trainer.get_decay_parameter_names(None, model))
    assert decaying_names(model) == expected
    assert expected
    assert len(expected) < len(list(model.named_parameters()))


def test_dropout_that_attention_keeps_as_a_number_is_read_back(tmp_path: Path) -> None:
    network = tiny_network(TINY["llama"](tmp_path), dropout=0.1)
    assert dropouts_in_force(Full().apply(network.model, "classification", 0)) == [0.1]
