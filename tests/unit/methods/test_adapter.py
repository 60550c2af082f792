"""How targets are matched, and why question answering has no peft task type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tiny import tiny_batch, tiny_bert, tiny_gpt2, tiny_llama, tiny_network
from tunescope.methods import Lora
from tunescope.methods.adapter import linear_names, missing_from
from tunescope.models.saving import save_tuned

NAMES = ("layers", "layers.0.self_attn.q_proj", "layers.0.mlp.up_proj")


@pytest.mark.parametrize(
    "targets, missing",
    [
        (None, ()),
        ("all-linear", ()),
        (["q_proj", "mlp.up_proj", "layers.0.mlp.up_proj"], ()),
        (["proj"], ("proj",)),
        ({"v_proj", "k_proj"}, ("k_proj", "v_proj")),
        (r"layers\.\d+\..*_proj", ()),
        ("up_proj", ("up_proj",)),
    ],
)
def test_missing_from(targets, missing: tuple[str, ...]) -> None:
    assert missing_from(targets, NAMES) == missing


def test_linear_names_leave_the_head_out(tmp_path: Path) -> None:
    assert linear_names(tiny_network(tiny_bert(tmp_path / "bert")).model) == ["dense", "key", "query", "value"]
    assert linear_names(tiny_network(tiny_gpt2(tmp_path / "gpt2")).model) == ["c_attn", "c_fc", "c_proj"]


def test_pefts_own_wrapper_for_question_answering_drops_segments(tmp_path: Path) -> None:
    """The reason for leaving task_type out; when this fails, QUESTION_ANS can come back."""
    network = tiny_network(tiny_bert(tmp_path), task_kind="question_answering")
    batch = tiny_batch(network)
    with torch.no_grad():
        base = network.model(**batch).start_logits
        theirs = get_peft_model(network.model, LoraConfig(task_type="QUESTION_ANS")).eval()(**batch).start_logits
        fresh = tiny_network(tmp_path, task_kind="question_answering").model
        ours = Lora().apply(fresh, "question_answering", seed=0).eval()(**batch).start_logits
    torch.testing.assert_close(ours, base, atol=1e-6, rtol=0)
    assert (theirs - base).abs().max() > 1e-3


@pytest.mark.parametrize(
    "kind, task_type, saved",
    [("classification", "SEQ_CLS", ["classifier", "score"]), ("question_answering", None, ["qa_outputs"])],
)
def test_what_the_adapters_config_says(kind, task_type: str | None, saved: list[str], tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path / "base"), task_kind=kind)
    model = Lora(target_modules=("q_proj",)).apply(network.model, kind, seed=0)
    save_tuned(model, "lora", tmp_path)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["task_type"], config["modules_to_save"]) == (task_type, saved)
    assert config["base_model_name_or_path"] == str(tmp_path / "base")
    assert config["inference_mode"] is True
