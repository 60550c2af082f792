"""Only safetensors are read, and a folder that has none says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import tiny_llama, tiny_network
from tunescope.errors import ModelError
from tunescope.models.weights import weight_files, weight_shapes


def test_pickles_are_never_read(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pickles \(pytorch_model.bin\).*convert them once: python -c"):
        tiny_network(folder)


def test_no_weights(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no model.safetensors"):
        tiny_network(folder)


def test_an_adapter_is_not_a_model(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"Name the adapter's base model"):
        tiny_network(folder)


def test_half_a_file(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"not a whole safetensors file"):
        tiny_network(folder)


def test_shards_are_one_model(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "one")
    before = {name: tensor.clone() for name, tensor in tiny_network(folder).model.model.state_dict().items()}
    shapes = weight_shapes(folder, where="m")
    _shard(folder)
    assert len(weight_files(folder, where="m")) == 2
    assert weight_shapes(folder, where="m") == shapes
    after = tiny_network(folder).model.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_shard_is_missing(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    _shard(folder)
    (folder / "b.safetensors").unlink()
    with pytest.raises(ModelError, match=r"names b.safetensors, not in its folder"):
        tiny_network(folder)


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": 3}', "{}"])
def test_an_index_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ModelError, match=r"is not an index"):
        weight_files(tmp_path, where="m")


def _shard(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"a.safetensors": names[: len(names) // 2], "b.safetensors": names[len(names) // 2 :]}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
