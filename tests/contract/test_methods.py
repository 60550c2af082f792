"""What every method keeps to: exactly the named tensors change, the same seed gives the same run, and save and load agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from tiny import TINY, logits_of, tiny_batch, tiny_network
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora, Method
from tunescope.models.padding_free import prepare_padding_free
from tunescope.models.saving import load_tuned, save_tuned

KINDS = ("classification", "question_answering")  # regression is a classifier with one output
HEAD = r"(score|classifier|qa_outputs)(\.modules_to_save\.default)?\.(weight|bias)"
METHODS: dict[str, tuple[Method, str]] = {
    "full": (Full(), r".*"),
    "head_only": (HeadOnly(), HEAD),
    "lora": (Lora(rank=2, dropout=0.1), rf".*\.lora_[AB]\.default\.weight|.*{HEAD}"),
    "rslora": (Lora(rank=2, use_rslora=True), rf".*\.lora_[AB]\.default\.weight|.*{HEAD}"),
    "dora": (Lora(rank=2, use_dora=True), rf".*\.lora_([AB]|magnitude_vector)\.default\.weight|.*{HEAD}"),
    "lora on all linear": (Lora(rank=2, target_modules="all-linear"), rf".*\.lora_[AB]\.default\.weight|.*{HEAD}"),
    "lora with biases": (
        Lora(rank=2, bias="all"),
        rf".*\.lora_[AB]\.default\.weight|(?!.*original_module).*\.bias|.*{HEAD}",
    ),
    "ia3": (AnyPeft(config_class="IA3Config"), rf".*\.ia3_l\.default|.*{HEAD}"),
    "dora by its peft class": (
        AnyPeft(config_class="LoraConfig", config={"r": 2, "use_dora": True}),
        rf".*\.lora_([AB]|magnitude_vector)\.default\.weight|.*{HEAD}",
    ),
    "vera": (AnyPeft(config_class="VeraConfig", config={"r": 4}), rf".*\.vera_lambda_[bd]\.default|.*{HEAD}"),
}
each_method = pytest.mark.parametrize("method, trained", METHODS.values(), ids=METHODS)
each_model = pytest.mark.parametrize("name", TINY)
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
@each_model
@each_method
def test_one_step_changes_exactly_what_the_method_says(
    method: Method, trained: str, name: str, kind: str, tmp_path: Path
) -> None:
    network = tiny_network(TINY[name](tmp_path), task_kind=kind)
    model = method.apply(network.model, kind, seed=1)
    expected = {key for key, _ in model.named_parameters() if re.fullmatch(trained, key)}
    assert {key for key, weight in model.named_parameters() if weight.requires_grad} == expected
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    _train(model, tiny_batch(network), num_steps=1)
    changed = {key for key, tensor in model.state_dict().items() if not torch.equal(before[key], tensor)}
    assert changed == expected
    dead = {key for key in expected if not model.get_parameter(key).grad.any()}
    assert all(re.search(r"lora_A|vera_lambda_d", key) for key in dead), (
        "zero in the first step only, behind B or b = 0"
    )


@each_model
@each_method
def test_the_same_seed_gives_the_same_run(method: Method, trained: str, name: str, tmp_path: Path) -> None:
    folder = TINY[name](tmp_path)
    runs = []
    for seed in (1, 1, 2):
        network = tiny_network(folder, seed=seed)
        model = method.apply(network.model, "classification", seed=seed)
        _train(model, tiny_batch(network), num_steps=2)
        runs.append({key: weight for key, weight in model.named_parameters() if weight.requires_grad})
    one, same, other = runs
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@each_kind
@each_model
@each_method
def test_save_and_load_give_the_same_logits(method: Method, trained: str, name: str, kind: str, tmp_path: Path) -> None:
    folder = TINY[name](tmp_path / "base")
    network = tiny_network(folder, task_kind=kind)
    model = method.apply(network.model, kind, seed=1)
    untrained = _logits(model, network)
    _train(model, tiny_batch(network), num_steps=2)
    logits = _logits(model, network)
    assert not torch.equal(logits, untrained)
    save_tuned(model, method.kind, tmp_path)

    fresh = tiny_network(folder, task_kind=kind, seed=50)
    assert torch.equal(_logits(load_tuned(fresh, tmp_path), fresh), logits)

    if (tmp_path / "adapter").is_dir():
        base = type(network.model).from_pretrained(_base_with_head(folder, kind, tmp_path / "plain"))
        peft = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
        torch.testing.assert_close(_logits(peft, network), logits, atol=1e-6, rtol=0)


@each_kind
@each_model
@each_method
def test_a_new_adapter_says_what_the_base_says(
    method: Method, trained: str, name: str, kind: str, tmp_path: Path
) -> None:
    network = tiny_network(TINY[name](tmp_path), task_kind=kind)
    base = _logits(network.model, network)
    tuned = _logits(method.apply(network.model, kind, seed=1), network)
    torch.testing.assert_close(tuned, base, atol=1e-5, rtol=0)


@each_kind
@each_model
@each_method
def test_rows_laid_end_to_end_give_the_same_gradients(
    method: Method, trained: str, name: str, kind: str, tmp_path: Path
) -> None:
    network = tiny_network(TINY[name](tmp_path), task_kind=kind)
    model = method.apply(network.model, kind, seed=1)
    batch = tiny_batch(network)
    _train(model, batch, num_steps=1)  # an adapter that has learnt nothing could hide that it looks at other rows
    padded = _gradients(model.double(), batch)
    with prepare_padding_free(network, model, batch).on():
        gradients = _gradients(model, batch)
    for key, gradient in padded.items():
        assert float((gradients[key] - gradient).abs().max()) <= 1e-9 * float(gradient.abs().max()) + 1e-13, key


def _gradients(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    model.eval().zero_grad()
    torch.stack([logits.square().sum() for logits in logits_of(model, batch)]).sum().backward()
    return {key: weight.grad.clone() for key, weight in model.named_parameters() if weight.requires_grad}


def _base_with_head(folder: Path, kind: str, out: Path) -> Path:
    """The base model under an untrained head, as plain Hugging Face reads it; another seed, so the head must be saved."""
    tiny_network(folder, task_kind=kind, seed=60).model.save_pretrained(out)
    return out


def _logits(model: torch.nn.Module, network) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([row.flatten() for row in logits_of(model, tiny_batch(network))])


def _train(model: torch.nn.Module, batch: dict[str, torch.Tensor], *, num_steps: int) -> None:
    """AdamW with weight decay: LoRA's A has no gradient in its first step, B being zero, and moves by decay alone."""
    model.train()
    optimiser = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-2, weight_decay=0.1)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        for _ in range(num_steps):
            loss = torch.cat([row.flatten() for row in logits_of(model, batch)]).sub(1.0).pow(2).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
