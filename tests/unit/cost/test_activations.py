"""The list of saved tensors, against those that autograd in fact saves: one layer's share is the third layer's."""

import json

import pytest
import torch
import transformers
from torch.autograd.graph import saved_tensors_hooks

from tunescope.cost.activations import (
    _layer_bytes,
    evaluation_activation_bytes,
    training_activation_bytes,
)
from tunescope.cost.architecture import read_architecture
from tunescope.cost.trainable import Trains, what_trains
from tunescope.methods import Full, HeadOnly, Lora, Method

ROWS, LENGTH = 4, 32
SHAPE = {"vocab_size": 100}
_TARGETS = {
    ("distilbert", None): ("q_lin", "v_lin"),  # peft has no default for it
    ("bert", "all-linear"): (  # not the pooler
        "query",
        "key",
        "value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ),
}


def _config(name: str, layers: int, dropout: float) -> transformers.PretrainedConfig:
    if name in ("llama", "qwen2", "gemma"):
        return transformers.AutoConfig.for_model(
            name,
            hidden_size=64,
            intermediate_size=176,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            attention_dropout=0.0,
            **SHAPE,
        )
    if name == "gpt2":
        drop = {"resid_pdrop": dropout, "embd_pdrop": dropout, "attn_pdrop": dropout}
        return transformers.GPT2Config(
            n_embd=64, n_inner=176, n_layer=layers, n_head=4, bos_token_id=1, eos_token_id=1, **drop, **SHAPE
        )
    if name == "distilbert":
        return transformers.DistilBertConfig(
            dim=64, hidden_dim=176, n_layers=layers, n_heads=4, dropout=dropout, attention_dropout=dropout, **SHAPE
        )
    return transformers.BertConfig(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=layers,
        num_attention_heads=4,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **SHAPE,
    )


def _saved_bytes(config: transformers.PretrainedConfig, method: Method, bf16: bool) -> int:
    """Bytes of activations that one forward pass leaves for backward, weights and their copies left out."""
    model = transformers.AutoModel.from_config(config)
    if isinstance(method, Lora):
        from peft import get_peft_model

        model = get_peft_model(model, method.peft_config())
    weights = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    shapes = {p.shape for p in model.parameters()} | {p.shape[::-1] for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        is_copy = bf16 and tensor.dim() == 2 and tensor.shape in shapes
        if tensor.untyped_storage().data_ptr() not in weights and not is_copy:
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    ids = torch.randint(5, 100, (ROWS, LENGTH))
    mask = torch.ones_like(ids)
    mask[0, LENGTH - 3 :] = 0
    model.train()
    with saved_tensors_hooks(pack, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
    assert states.requires_grad
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize(
    "method",
    [
        Full(),
        Lora(rank=8),
        Lora(rank=8, dropout=0.1),
        Lora(rank=8, target_modules="all-linear"),
    ],
    ids=["full", "lora", "lora-dropout", "lora-all-linear"],
)
@pytest.mark.parametrize(
    "name, dropout",
    [("llama", 0.0), ("qwen2", 0.0), ("bert", 0.1), ("bert", 0.0), ("gpt2", 0.1), ("gpt2", 0.0), ("distilbert", 0.1)],
)
def test_saved_tensors_of_a_layer_are_those_autograd_saves(name: str, dropout: float, method: Method) -> None:
    if isinstance(method, Lora) and method.target_modules in (None, "all-linear"):
        method = method.model_copy(
            update={"target_modules": _TARGETS.get((name, method.target_modules), method.target_modules)}
        )
    config = _config(name, 3, dropout)
    arch = read_architecture(json.loads(config.to_json_string()))
    assert arch is not None
    trains = what_trains(method, arch, "classification", 2)
    assert trains is not None
    saved, made = _layer_bytes(arch, trains, LENGTH, "fp32", on_gpu=False)
    third = _saved_bytes(config, method, bf16=False) - _saved_bytes(_config(name, 2, dropout), method, bf16=False)
    assert saved == pytest.approx(third / (ROWS * LENGTH), rel=0.02)
    assert made > saved


@pytest.mark.parametrize("name, dropout", [("llama", 0.0), ("bert", 0.1), ("bert", 0.0), ("gpt2", 0.1)])
def test_saved_tensors_under_bf16_autocast(name: str, dropout: float) -> None:
    config = _config(name, 3, dropout)
    arch = read_architecture(json.loads(config.to_json_string()))
    assert arch is not None
    trains = what_trains(Full(), arch, "classification", 2)
    assert trains is not None
    saved, _ = _layer_bytes(arch, trains, LENGTH, "bf16", on_gpu=False)
    third = _saved_bytes(config, Full(), bf16=True) - _saved_bytes(_config(name, 2, dropout), Full(), bf16=True)
    assert saved == pytest.approx(third / (ROWS * LENGTH), rel=0.03)


def _bytes(method: Method, **changes: object) -> float:
    arch = read_architecture(json.loads(_config("llama", 8, 0.0).to_json_string()))
    assert arch is not None
    trains = what_trains(method, arch, "classification", 2)
    assert isinstance(trains, Trains)
    given = {"num_tokens": 1024, "longest": 128, "precision": "fp32", "on_gpu": True}
    return training_activation_bytes(arch, trains, **(given | changes))  # type: ignore[arg-type]


def test_order_of_what_needs_more() -> None:
    assert _bytes(HeadOnly()) < _bytes(Lora(rank=8)) < _bytes(Full())
    assert _bytes(Full(), gradient_checkpointing=True) < 0.5 * _bytes(Full())
    assert _bytes(Full()) < _bytes(Full(), on_gpu=False), "a CPU process keeps holes"
    assert _bytes(Full(), num_tokens=2048) == pytest.approx(2 * _bytes(Full()))


def test_scoring_needs_one_layer_not_all() -> None:
    arch = read_architecture(json.loads(_config("llama", 8, 0.0).to_json_string()))
    assert arch is not None
    scoring = evaluation_activation_bytes(arch, num_tokens=1024, longest=128, precision="fp32", on_gpu=True)
    assert scoring < _bytes(Full()) / 4
