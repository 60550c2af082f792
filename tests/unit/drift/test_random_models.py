"""What a drift number is held against: random weights, and random updates of the same length."""

from __future__ import annotations

import pytest
import torch

from tiny import TINY, tiny_batch, tiny_network
from tunescope.drift.random_models import moved_at_random, random_network
from tunescope.errors import ModelError
from tunescope.methods import AnyPeft, Full, Lora


def _tuned(folder, method, by=0.05):
    model = method.apply(tiny_network(folder).model, "classification", seed=1).eval()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(by * torch.randn_like(weight))
    return model


@pytest.mark.parametrize("name", TINY)
def test_random_weights_are_the_seeds_and_touch_nothing_else(name, tmp_path):
    network = tiny_network(TINY[name](tmp_path / "base"))
    before = {key: value.clone() for key, value in network.model.state_dict().items()}
    state = torch.random.get_rng_state()
    first, again, other = (random_network(network, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in network.model.state_dict().items())
    batch = tiny_batch(network)
    with torch.no_grad():
        logits = [model(**batch).logits for model in (first, again, other, network.model)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])
    assert not torch.allclose(logits[0], logits[3])
    assert not first.training


@pytest.mark.parametrize("method", [Full(), Lora(rank=2), Lora(rank=2, use_dora=True)], ids=("full", "lora", "dora"))
@pytest.mark.parametrize("name", ["llama", "bert"])
def test_each_changed_weight_moves_by_as_much_and_no_other(name, method, tmp_path):
    folder = TINY[name](tmp_path / "base")
    base, tuned = tiny_network(folder).model, _tuned(folder, method)
    merged = tuned.merge_and_unload() if method.kind == "lora" else tuned
    again = _tuned(folder, method)
    moved = moved_at_random(base, again, seed=0)
    num_moved = 0
    for key, weight in base.state_dict().items():
        if not weight.is_floating_point():
            continue
        length = (merged.state_dict()[key].double() - weight.double()).norm()
        step = (moved.state_dict()[key].double() - weight.double()).norm()
        assert step == pytest.approx(float(length), rel=1e-5, abs=1e-12), key
        num_moved += bool(length > 0)
    assert num_moved > 0
    assert any(hasattr(part, "lora_A") for part in again.modules()) == (method.kind == "lora"), (
        "the run stays as it was"
    )


def test_the_direction_is_the_seeds(tmp_path):
    folder = TINY["llama"](tmp_path / "base")
    base, tuned = tiny_network(folder).model, _tuned(folder, Full())
    name = "model.layers.0.self_attn.q_proj.weight"
    one, again, other = (moved_at_random(base, tuned, seed=seed).state_dict()[name] for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_model_that_did_not_move_gives_the_base(tmp_path):
    folder = TINY["bert"](tmp_path / "base")
    base = tiny_network(folder).model
    moved = moved_at_random(base, tiny_network(folder).model, seed=0)
    assert all(torch.equal(value, base.state_dict()[key]) for key, value in moved.state_dict().items())


def test_virtual_tokens_are_no_update_of_a_weight(tmp_path):
    folder = TINY["llama"](tmp_path / "base")
    prompt = AnyPeft(config_class="PromptTuningConfig", config={"num_virtual_tokens": 2})
    with pytest.raises(ModelError, match="adds virtual tokens and changes no weight"):
        moved_at_random(tiny_network(folder).model, _tuned(folder, prompt), seed=0)


def test_a_model_of_another_shape_is_refused(tmp_path):
    base, other = TINY["llama"](tmp_path / "a"), TINY["llama"](tmp_path / "b", num_hidden_layers=1)
    with pytest.raises(ModelError, match=r"the tuned model has no weight 'model\.layers\.1"):
        moved_at_random(tiny_network(base).model, tiny_network(other).model, seed=0)
