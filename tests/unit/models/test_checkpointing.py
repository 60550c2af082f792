"""Gradient checkpointing changes memory and nothing else: the same gradients, for adapters over frozen embeddings too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tiny import TINY, tiny_batch, tiny_llama, tiny_network
from tunescope.errors import ModelError
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.models.checkpointing import enable_checkpointing


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("method", [Full(), Lora(rank=2, dropout=0.5), HeadOnly()], ids=lambda method: method.kind)
def test_the_same_gradients(name: str, method, tmp_path: Path) -> None:
    TINY[name](tmp_path)
    without, num_without = _gradients(method, tmp_path, checkpoint=False)
    with_it, num_with = _gradients(method, tmp_path, checkpoint=True)
    assert without.keys() == with_it.keys()
    for key, gradient in without.items():
        assert torch.equal(gradient, with_it[key]), key
    if method.kind != "head_only":  # there, no layer is ever run backward
        assert num_with > num_without, "layers were not run again, so nothing was checkpointed"


def test_lora_gradients_flow(tmp_path: Path) -> None:
    tiny_llama(tmp_path)
    gradients, _ = _gradients(Lora(rank=2), tmp_path, checkpoint=True)
    moved = [key for key, gradient in gradients.items() if "lora_B" in key and gradient.abs().max() > 0]
    assert len(moved) == 4


def test_an_architecture_without_it(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    network.model.supports_gradient_checkpointing = False
    with pytest.raises(ModelError, match="LlamaForSequenceClassification does not support gradient checkpointing"):
        enable_checkpointing(network.model)


def test_a_prefix_that_lives_in_the_cache(tmp_path: Path) -> None:
    network = tiny_network(tiny_llama(tmp_path))
    method = AnyPeft(config_class="PrefixTuningConfig", config={"num_virtual_tokens": 2})
    model = method.apply(network.model, "classification", seed=0)
    with pytest.raises(ModelError, match="PREFIX_TUNING works through the key/value cache"):
        enable_checkpointing(model)


def _gradients(method, folder: Path, *, checkpoint: bool) -> tuple[dict[str, torch.Tensor], int]:
    """Gradients by parameter, and how often the first block was run."""
    network = tiny_network(folder)
    first = next(
        module for name, module in network.model.named_modules() if name.endswith((".0.mlp", ".0.intermediate"))
    )
    runs: list[int] = []
    first.register_forward_pre_hook(lambda *_: runs.append(1))
    model = method.apply(network.model, "classification", seed=1).train()
    if checkpoint:
        enable_checkpointing(model)
    with torch.random.fork_rng():
        torch.manual_seed(3)  # dropout
        model(**tiny_batch(network)).logits.pow(2).sum().backward()
    return {name: w.grad for name, w in model.named_parameters() if w.requires_grad and w.grad is not None}, len(runs)
