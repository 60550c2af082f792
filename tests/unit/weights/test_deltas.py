"""Every kind of tuned folder against its base, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tiny import TINY, tiny_bert, tiny_llama
from tunescope.errors import ModelError
from tunescope.methods import Full, HeadOnly, Lora
from tunescope.weights.deltas import module_updates


@pytest.mark.parametrize("kind", ["classification", "question_answering"])
@pytest.mark.parametrize("name", TINY)
def test_a_full_model(tune, name: str, kind: str) -> None:
    model, out, base = tune(Full(), name, kind)
    before = load_file(base / "model.safetensors")
    updates = list(module_updates(out, base))
    backbone = model.get_submodule(model.base_model_prefix)
    trained = dict(backbone.named_parameters())
    assert len(updates) == len(trained), "every parameter of the backbone, the head left out"
    for update in updates:
        (now,) = [w for own, w in trained.items() if update.module == own or update.module.endswith(f".{own}")]
        assert torch.equal(torch.from_numpy(update.base), before[update.module])
        expected = now.detach().double() - before[update.module].double()
        assert update.dense().dtype == np.float64
        np.testing.assert_array_equal(update.dense(), expected.numpy())


@pytest.mark.parametrize("kind", ["classification", "question_answering"])
@pytest.mark.parametrize("name", TINY)
def test_a_packed_model_gives_the_same_updates(tune, name: str, kind: str) -> None:
    _, plain, base = tune(Full(), name, kind)
    shutil.move(plain, plain.with_name("plain"))
    _, packed, _ = tune(Full(), name, kind, packed=True)
    expected = list(module_updates(plain.with_name("plain"), base))
    assert len(expected) > 15
    for folder in (packed, packed / "packed"):
        pairs = zip(expected, module_updates(folder, base), strict=True)
        assert all(a.module == b.module and a.dense().tobytes() == b.dense().tobytes() for a, b in pairs)


def test_a_packed_model_of_another_base(tune, tmp_path: Path) -> None:
    _, out, _ = tune(Full(), "llama", packed=True)
    with pytest.raises(ModelError, match=r"was packed against another tensor"):
        list(module_updates(out, tiny_llama(tmp_path / "other", seed=3)))
    with pytest.raises(ModelError, match=r"not tuned from .* which is not in it"):
        module_updates(out, tiny_bert(tmp_path / "stranger"))
    with pytest.raises(ModelError, match=r"not tuned from"):
        list(module_updates(out, tiny_llama(tmp_path / "fewer", num_hidden_layers=1)))


def test_a_head_alone_changes_nothing(tune) -> None:
    _, out, base = tune(HeadOnly())
    assert list(module_updates(out, base)) == []


@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=lambda method: method.kind)
def test_a_model_or_adapter_folder_itself(tune, method) -> None:
    _, out, base = tune(method)
    (inner,) = out.iterdir()
    pairs = zip(module_updates(out, base), module_updates(inner, base), strict=True)
    assert all(a.module == b.module and np.array_equal(a.dense(), b.dense()) for a, b in pairs)


@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=lambda method: method.kind)
@pytest.mark.parametrize(
    "other", [lambda f: tiny_llama(f), lambda f: tiny_bert(f, hidden_size=16)], ids=["names", "shapes"]
)
def test_another_base(tune, method, other, tmp_path: Path) -> None:
    _, out, _ = tune(method, "bert")
    with pytest.raises(ModelError, match=r"not tuned from .*Give the base model that it was trained from"):
        list(module_updates(out, other(tmp_path / "other")))


@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=lambda method: method.kind)
def test_a_base_with_fewer_blocks(tune, method, tmp_path: Path) -> None:
    _, out, _ = tune(method, "llama")
    with pytest.raises(ModelError, match=r"not tuned from"):
        list(module_updates(out, tiny_llama(tmp_path / "other", num_hidden_layers=1)))


@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=lambda method: method.kind)
def test_a_base_in_half_precision(tune, method) -> None:
    _, out, base = tune(method)
    _store_as(base / "model.safetensors", torch.bfloat16)
    with pytest.raises(ModelError, match=r"is kept in bfloat16. An update is measured .* say base_is_half"):
        module_updates(out, base)
    for update in module_updates(out, base, base_is_half=True):
        assert update.base is not None
        stored = load_file(base / "model.safetensors")[update.module].float()
        assert torch.equal(torch.from_numpy(update.base), stored)


@pytest.mark.parametrize("method", [Full(), Lora(rank=2)], ids=lambda method: method.kind)
def test_tuned_weights_in_half_precision(tune, method) -> None:
    _, out, base = tune(method)
    (weights,) = out.rglob("*.safetensors")
    _store_as(weights, torch.float16)
    with pytest.raises(ModelError, match=r"is kept in float16. .*ounding"):
        list(module_updates(out, base))


@pytest.mark.parametrize("method", [Full(), Lora(rank=2), HeadOnly()], ids=lambda method: method.kind)
@pytest.mark.parametrize("harm", ["half", "none"])
def test_tuned_files_that_are_not_whole(tune, method, harm: str) -> None:
    _, out, base = tune(method)
    (weights,) = out.rglob("*.safetensors")
    if harm == "half":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    else:
        weights.unlink()
    with pytest.raises(ModelError):
        list(module_updates(out, base))


def test_folders_that_are_not_there(tune, tmp_path: Path) -> None:
    _, out, base = tune(Full())
    with pytest.raises(ModelError, match=r"no-such: is not a folder"):
        module_updates(out, tmp_path / "no-such")
    with pytest.raises(ModelError, match=r"no-such: is not a folder"):
        module_updates(tmp_path / "no-such", base)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"has no model.safetensors"):
        module_updates(out, tmp_path / "empty")
    with pytest.raises(
        ModelError, match=r"expected one of adapter/, model/, packed/ and head.safetensors, .*found none"
    ):
        module_updates(tmp_path / "empty", base)
    shutil.copytree(out / "model", out / "adapter")
    with pytest.raises(ModelError, match=r"found adapter and model"):
        module_updates(out, base)


def test_a_value_that_is_no_number(tune) -> None:
    _, out, base = tune(Full())
    weights = out / "model" / "model.safetensors"
    tensors = load_file(weights)
    name = "bert.encoder.layer.1.output.dense.weight"
    tensors[name][0, 0] = float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"tensor {name} holds values that are NaN"):
        list(module_updates(out, base))


def test_one_tensor_at_a_time(tune, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, base = tune(Full())
    read: list[str] = []

    class Counting:
        def __init__(self, *words, **more) -> None:
            self.file = safe_open(*words, **more)

        def __enter__(self):
            self.inside = self.file.__enter__()
            return self

        def __exit__(self, *words) -> None:
            self.file.__exit__(*words)

        def __getattr__(self, name: str):
            if name == "get_tensor":
                return lambda tensor: (read.append(tensor), self.inside.get_tensor(tensor))[1]
            return getattr(self.inside, name)

    monkeypatch.setattr("safetensors.safe_open", Counting)
    updates = module_updates(out, base)
    assert read == []
    first = next(updates)
    assert read == [first.module, f"bert.{first.module}"]


def _store_as(path: Path, dtype: torch.dtype) -> None:
    tensors = {name: t.to(dtype) for name, t in load_file(path).items()}
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})
