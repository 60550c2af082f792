"""What is saved comes back bit for bit, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForQuestionAnswering, LlamaForQuestionAnswering, LlamaForSequenceClassification

from tiny import TINY, tiny_batch, tiny_bert, tiny_llama, tiny_network
from tunescope.errors import ModelError
from tunescope.methods import AnyPeft, Full, HeadOnly, Lora
from tunescope.models.saving import load_tuned, save_tuned
from tunescope.weights.packed import twins_in

METHODS = (Full(), HeadOnly(), Lora(rank=2), AnyPeft(config_class="IA3Config"))


@pytest.mark.parametrize("kind", ["classification", "question_answering"])
@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
def test_every_tensor_comes_back(method, name: str, kind: str, tmp_path: Path) -> None:
    folder, out = TINY[name](tmp_path / "base"), tmp_path / "out"
    model = _tuned(method, folder, kind)
    out.mkdir()
    save_tuned(model, method.kind, out)
    assert len(list(out.iterdir())) == 1
    network = tiny_network(folder, task_kind=kind, seed=99)
    random = torch.random.get_rng_state()
    again = load_tuned(network, out)
    assert torch.equal(random, torch.random.get_rng_state())
    assert not again.training
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    differing = {key for key in before if not torch.equal(before[key], after[key])}
    assert all("original_module" in key for key in differing), "the untrained head is the new seed's, all else is equal"


@pytest.mark.parametrize("kind", ["classification", "question_answering"])
@pytest.mark.parametrize("name", TINY)
def test_every_tensor_of_a_packed_model_comes_back(name: str, kind: str, tmp_path: Path) -> None:
    folder, out = TINY[name](tmp_path / "base"), tmp_path / "out"
    model = _tuned(Full(), folder, kind)
    out.mkdir()
    save_tuned(model, "full", out, base=_twins(model, folder))
    assert sorted(path.name for path in out.rglob("*")) == [
        "config.json",
        "packed",
        "packed-00001-of-00001.safetensors",
    ]
    again = load_tuned(tiny_network(folder, task_kind=kind, seed=99), out)
    assert not again.training
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())


def test_a_packed_model_knows_its_base(tmp_path: Path) -> None:
    folder, other = tiny_llama(tmp_path / "base"), tiny_llama(tmp_path / "other", seed=1)
    model = _tuned(Full(), folder, "classification")
    save_tuned(model, "full", tmp_path, base=_twins(model, folder))
    with pytest.raises(ModelError, match=r"was packed against another tensor .* Give the very base model"):
        load_tuned(tiny_network(other), tmp_path)
    with pytest.raises(ModelError, match=r"does not fit the network"):
        load_tuned(tiny_network(folder, num_labels=3), tmp_path)


@pytest.mark.parametrize("harm", ["half", "none"])
def test_packed_files_that_are_not_whole(harm: str, tmp_path: Path) -> None:
    folder, out = tiny_llama(tmp_path / "base"), tmp_path / "out"
    out.mkdir()
    model = _tuned(Full(), folder, "classification")
    save_tuned(model, "full", out, base=_twins(model, folder))
    (weights,) = out.rglob("*.safetensors")
    if harm == "half":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    else:
        weights.unlink()
    with pytest.raises(ModelError):
        load_tuned(tiny_network(folder), out)


@pytest.mark.parametrize(
    "tiny, kind, plain_class",
    [
        (tiny_llama, "classification", LlamaForSequenceClassification),
        (tiny_llama, "question_answering", LlamaForQuestionAnswering),
        (tiny_bert, "question_answering", BertForQuestionAnswering),
    ],
)
def test_a_full_model_is_a_plain_hugging_face_folder(tiny, kind: str, plain_class, tmp_path: Path) -> None:
    folder = tiny(tmp_path / "base")
    model = _tuned(Full(), folder, kind)
    save_tuned(model, "full", tmp_path)
    plain, told = plain_class.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert all(torch.equal(tensor, plain.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert not list((tmp_path / "model").glob("*.bin"))


def test_a_full_model_is_read_into_the_network_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_llama(tmp_path / "base")
    model = _tuned(Full(), folder, "classification")
    save_tuned(model, "full", tmp_path)
    network = tiny_network(folder, seed=99)

    def refuse(*words: object, **more: object) -> None:
        raise AssertionError("a second copy of the weights")

    monkeypatch.setattr(type(network.model), "from_pretrained", refuse)
    again = load_tuned(network, tmp_path)
    assert again is network.model
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_reloaded_full_model_still_minds_the_mask(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    save_tuned(_tuned(Full(), folder, "classification"), "full", tmp_path)
    network = tiny_network(folder)
    model = load_tuned(network, tmp_path)
    with torch.no_grad():
        left, right = (model(**tiny_batch(network, side=side)).logits for side in ("left", "right"))
    torch.testing.assert_close(left, right, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
def test_another_label_count_does_not_fit(method, tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    save_tuned(_tuned(method, folder, "classification"), method.kind, tmp_path)
    with pytest.raises(ModelError, match=r"does not fit the network"):
        load_tuned(tiny_network(folder, num_labels=3), tmp_path)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
@pytest.mark.parametrize("harm", ["half", "fewer", "none"])
def test_files_that_are_not_whole(method, harm: str, tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    out = tmp_path / "out"
    out.mkdir()
    save_tuned(_tuned(method, folder, "classification"), method.kind, out)
    (weights,) = out.rglob("*.safetensors")
    if harm == "half":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif harm == "fewer":
        tensors = load_file(weights)
        del tensors[sorted(tensors)[0]]
        save_file(tensors or {"x": torch.zeros(1)}, weights, metadata={"format": "pt"})
    else:
        weights.unlink()
    with pytest.raises(ModelError):
        load_tuned(tiny_network(folder), out)


def test_an_empty_folder(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    with pytest.raises(ModelError, match=r"expected one of adapter/, model/, packed/ and head.safetensors, found none"):
        load_tuned(tiny_network(folder), tmp_path)


def _tuned(method, folder: Path, kind: str):
    """A model with every trained weight moved a little."""
    network = tiny_network(folder, task_kind=kind)
    model = method.apply(network.model, kind, seed=1).eval()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
    return model


def _twins(model, folder: Path):
    return twins_in(folder, {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()})
