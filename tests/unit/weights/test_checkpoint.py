"""Tensors are read one by one, widened without loss, and refused where they are no numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tunescope.errors import ModelError
from tunescope.weights.checkpoint import Checkpoint


def test_shards(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({name: torch.full((2,), float(ord(name)))}, tmp_path / f"{name}.safetensors")
    index = {"weight_map": {name: f"{name}.safetensors" for name in ("a", "b")}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    found = Checkpoint.of_model(tmp_path, where="base")
    assert found.shapes == {"a": (2,), "b": (2,)}
    assert found.read("b").tolist() == [98.0, 98.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_widened_without_loss(dtype: torch.dtype, tmp_path: Path) -> None:
    values = torch.randn(100, generator=torch.Generator().manual_seed(0)).to(dtype)
    save_file({"w": values}, tmp_path / "w.safetensors")
    read = Checkpoint((tmp_path / "w.safetensors",), where="w").read("w")
    assert read.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    assert torch.equal(torch.from_numpy(read).to(dtype), values)
    np.testing.assert_array_equal(read.astype(np.float64), values.double().numpy())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number(value: float, tmp_path: Path) -> None:
    save_file({"fine": torch.zeros(2), "w": torch.tensor([0.0, value])}, tmp_path / "w.safetensors")
    found = Checkpoint((tmp_path / "w.safetensors",), where="base")
    assert found.read("fine").tolist() == [0.0, 0.0]
    with pytest.raises(ModelError, match=r"base: w.safetensors: tensor w holds values that are NaN or infinite"):
        found.read("w")


@pytest.mark.parametrize("harm", ["half", "none"])
def test_a_file_that_is_not_whole(harm: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    if harm == "half":
        save_file({"w": torch.zeros(100)}, path)
        path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(ModelError, match=r"base: w.safetensors is not a whole safetensors file"):
        Checkpoint((path,), where="base")


def test_half_precision_is_named(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2, dtype=torch.bfloat16)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"base: w is kept in bfloat16. Because."):
        Checkpoint((tmp_path / "w.safetensors",), where="base").refuse_half("Because.")
