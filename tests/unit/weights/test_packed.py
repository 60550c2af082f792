"""Which base tensor a tuned one is told against, and that each is read only when asked for."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import TINY, tiny_bert, tiny_llama, tiny_network
from tunescope.methods import Full
from tunescope.weights.checkpoint import Checkpoint
from tunescope.weights.packed import PackedCheckpoint, twins_in


def _shapes(network):
    return {name: tuple(tensor.shape) for name, tensor in network.model.state_dict().items()}


@pytest.mark.parametrize("kind", ["classification", "question_answering"])
@pytest.mark.parametrize("name", TINY)
def test_all_but_the_head_have_a_twin_with_the_networks_own_values(name, kind, tmp_path):
    base = TINY[name](tmp_path / "base")
    network = tiny_network(base, task_kind=kind)
    twins = twins_in(base, _shapes(network))
    assert network.model.state_dict().keys() - twins.keys() == set(network.head_names)
    for own, tensor in network.model.state_dict().items():
        if own in twins:
            assert torch.equal(twins[own].read().to(tensor.dtype), tensor), own


def test_names_of_old_checkpoints_are_found(tmp_path):
    base = tiny_bert(tmp_path / "base")
    network = tiny_network(base)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in load_file(base / "model.safetensors").items()
    }
    save_file(old, base / "model.safetensors", metadata={"format": "pt"})
    twins = twins_in(base, _shapes(network))
    assert network.model.state_dict().keys() - twins.keys() == set(network.head_names)
    assert twins["bert.embeddings.LayerNorm.weight"].name.endswith("gamma")


def test_a_tensor_of_another_shape_has_none(tmp_path):
    base = tiny_llama(tmp_path / "base")
    shapes = _shapes(tiny_network(base))
    changed = shapes | {"model.norm.weight": (33,), "model.extra.weight": (32,)}
    assert twins_in(base, changed).keys() == twins_in(base, shapes).keys() - {"model.norm.weight"}


def test_values_are_those_of_the_plain_checkpoint(tune):
    model, out, base = tune(Full(), "llama", packed=True)
    packed = PackedCheckpoint(out / "packed", Checkpoint.of_model(base, where="base"))
    for name, tensor in model.state_dict().items():
        assert packed.is_number(name)
        assert packed.shapes[name] == tuple(tensor.shape)
        assert torch.equal(packed.stored(name), tensor)
        assert torch.equal(packed.tensor(name), tensor)
    packed.refuse_half("never said")
