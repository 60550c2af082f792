"""A checkpoint is written whole or not at all; what was there before stays until then."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tunescope.training import checkpoint
from tunescope.training.checkpoint import TornCheckpointError, load_checkpoint, save_checkpoint


def _made(seed: int) -> tuple[nn.Linear, torch.optim.AdamW]:
    """A model after one step, and its optimiser."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Linear(4, 3)
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
        model(torch.randn(5, 4)).sum().backward()
        optimiser.step()
    return model, optimiser


def _save(folder: Path, model: nn.Linear, optimiser: torch.optim.AdamW, step: int) -> None:
    save_checkpoint(
        folder, model=model, optimiser=optimiser, best={"weight": model.weight * 2}, progress={"step": step}
    )


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    model, optimiser = _made(1)
    _save(tmp_path, model, optimiser, 7)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    other, its_optimiser = _made(2)
    loaded = load_checkpoint(tmp_path, model=other, optimiser=its_optimiser)
    assert loaded is not None
    assert loaded[0] == {"step": 7}
    assert torch.equal(loaded[1]["weight"], model.weight * 2)
    assert torch.equal(other.weight, model.weight)
    for part, value in optimiser.state[model.weight].items():
        assert torch.equal(its_optimiser.state[other.weight][part], value), part


@pytest.mark.parametrize("fails", ["save_file", "fsync", "replace"])
def test_a_disk_that_runs_full_leaves_the_last_checkpoint_and_nothing_else(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimiser = _made(1)
    _save(tmp_path, model, optimiser, 7)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def full(*arguments: Any) -> None:
        if fails == "save_file":
            Path(arguments[1]).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    target = {"save_file": checkpoint, "fsync": checkpoint.os, "replace": Path}[fails]
    with monkeypatch.context() as patched:
        patched.setattr(target, fails, full)
        with pytest.raises(OSError, match="No space left"):
            _save(tmp_path, model, optimiser, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_one_cut_in_half_is_known_as_torn(tmp_path: Path) -> None:
    model, optimiser = _made(1)
    _save(tmp_path, model, optimiser, 7)
    file = tmp_path / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(TornCheckpointError, match=r"checkpoint\.safetensors cannot be read"):
        load_checkpoint(tmp_path, model=model, optimiser=optimiser)
    file.unlink()
    assert load_checkpoint(tmp_path, model=model, optimiser=optimiser) is None


def test_any_flipped_bit_is_found_and_touches_neither_model_nor_optimiser(tmp_path: Path) -> None:
    model, optimiser = _made(1)
    _save(tmp_path, model, optimiser, 7)
    file = tmp_path / "checkpoint.safetensors"
    whole = file.read_bytes()
    other, its_optimiser = _made(2)
    before = other.weight.clone()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        file.write_bytes(damaged)
        try:
            load_checkpoint(tmp_path, model=other, optimiser=its_optimiser)
        except TornCheckpointError:
            assert torch.equal(other.weight, before)
        else:  # a space became another letter that JSON overlooks: nothing that is read has changed
            assert place < 8 + int.from_bytes(whole[:8], "little"), f"byte {place}"
            load_checkpoint(tmp_path, model=other, optimiser=its_optimiser)
            assert torch.equal(other.weight, model.weight)
            other, its_optimiser = _made(2)
