"""An unpacked model is the file that `save_pretrained` would have written, and is read back before it is trusted."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification

from tiny import TINY, logits_of, tiny_batch, tiny_llama, tiny_network
from tunescope.errors import ModelError
from tunescope.models import unpacking
from tunescope.models.packed import words_of, write_packed
from tunescope.models.saving import load_tuned, save_tuned
from tunescope.models.unpacking import unpack_model
from tunescope.weights.checkpoint import Checkpoint
from tunescope.weights.packed import twins_in

AUTO = {
    "classification": AutoModelForSequenceClassification,
    "question_answering": AutoModelForQuestionAnswering,
}


def _saved(tmp_path, base, kind="classification"):
    """A tuned model saved plain and packed; its network."""
    network = tiny_network(base, task_kind=kind)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for weight in network.model.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    shapes = {name: tuple(tensor.shape) for name, tensor in network.model.state_dict().items()}
    save_tuned(network.model, "full", tmp_path)
    save_tuned(network.model, "full", tmp_path, base=twins_in(base, shapes))
    (tmp_path / "out").mkdir()
    return network


def _unpack(tmp_path, base):
    unpack_model(tmp_path / "packed", Checkpoint.of_model(base, where=str(base)), tmp_path / "out")


@pytest.mark.parametrize("kind", AUTO)
@pytest.mark.parametrize("name", TINY)
def test_the_folder_is_the_plain_one_byte_for_byte_and_computes_the_same(name, kind, tmp_path):
    base = TINY[name](tmp_path / "base")
    network = _saved(tmp_path, base, kind)
    _unpack(tmp_path, base)
    plain = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == plain
    again, told = AUTO[kind].from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    batch = tiny_batch(
        network, texts=("the cat sat",)
    )  # without padding: where that stands, our networks go by the mask
    with torch.no_grad():
        for ours, theirs in zip(logits_of(network.model, batch), logits_of(again.eval(), batch), strict=True):
            assert torch.equal(ours, theirs)


def test_an_unpacked_folder_is_a_runs_plain_model(tmp_path):
    base = tiny_llama(tmp_path / "base")
    network = _saved(tmp_path, base)
    _unpack(tmp_path, base)
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "out").rename(run / "model")
    again = load_tuned(tiny_network(base, seed=3), run).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in network.model.state_dict().items())


def test_what_lies_beside_the_weights_comes_along(tmp_path):
    base = tiny_llama(tmp_path / "base")
    _saved(tmp_path, base)
    (tmp_path / "packed" / "modeling_own.py").write_text("OWN = 1\n")
    (tmp_path / "packed" / "parts").mkdir()
    (tmp_path / "packed" / "parts" / "more.py").write_text("MORE = 1\n")
    _unpack(tmp_path, base)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert found == {"config.json", "model.safetensors", "modeling_own.py", "parts", "parts/more.py"}


def test_every_type_is_written_and_names_that_share_are_all_there(tmp_path):
    shared = torch.randn(6, 4)
    tensors = {
        "b": torch.randn(3).half(),
        "a": torch.randn(5).bfloat16(),
        "embed": shared,
        "head": shared,
        "ids": torch.arange(4),
        "on": torch.tensor([True, False, True]),
        "scale": torch.tensor(2.0),
        "none": torch.empty(0, 3),
        "é": torch.tensor([float("nan"), -0.0]),
    }
    (tmp_path / "packed").mkdir()
    (tmp_path / "out").mkdir()
    write_packed(tensors, tmp_path / "packed", {})
    base = tiny_llama(tmp_path / "base")
    _unpack(tmp_path, base)
    again = load_file(tmp_path / "out" / "model.safetensors")
    assert again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (again[name].dtype, again[name].shape) == (tensor.dtype, tensor.shape)
        assert words_of(again[name]).tobytes() == words_of(tensor).tobytes()


def test_another_base_is_refused(tmp_path):
    _saved(tmp_path, tiny_llama(tmp_path / "base"))
    with pytest.raises(ModelError, match="was packed against another tensor"):
        _unpack(tmp_path, tiny_llama(tmp_path / "other", seed=4))
    with pytest.raises(ModelError, match=r"was packed against .*, which is not in this base model"):
        _unpack(tmp_path, TINY["gpt2"](tmp_path / "stranger"))


def test_what_reads_back_otherwise_is_told(tmp_path, monkeypatch):
    base = tiny_llama(tmp_path / "base")
    _saved(tmp_path, base)
    write = unpacking._write_weights

    def write_badly(packed, before, path):
        write(packed, before, path)
        content = bytearray(path.read_bytes())
        content[-1] ^= 64
        path.write_bytes(content)

    monkeypatch.setattr(unpacking, "_write_weights", write_badly)
    with pytest.raises(ModelError, match=r"score.weight reads back otherwise than written"):
        _unpack(tmp_path, base)
