"""Packed weights come back bit for bit, are the same bytes each time, and name what is wrong with base or file."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

from tunescope.errors import ModelError
from tunescope.models import packed as packing
from tunescope.models.packed import PackedWeights, Twin, is_packed, words_of, write_packed

NAN = torch.tensor([0x7FC00001, -0x3FFFFF, 0x7F800001, -0x80000000, 0, 1], dtype=torch.int32).view(torch.float32)
"""A quiet, a negative and a signalling NaN with payloads, minus zero, zero, the smallest number."""


def _twins(tensors, names=None):
    return {
        name: Twin(name=f"base.{name}", read=lambda t=tensor: t)
        for name, tensor in tensors.items()
        if names is None or name in names
    }


def _bits(tensor):
    return words_of(tensor).tobytes()


def _model(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "body.weight": torch.randn(40, 30, generator=generator),
        "body.half": torch.randn(17, generator=generator).half(),
        "body.brain": torch.randn(5, 3, generator=generator).bfloat16(),
        "body.double": torch.randn(4, generator=generator).double(),
        "positions": torch.arange(12).reshape(1, 12),
        "mask": torch.tensor([True, False, True]),
        "scale": torch.tensor(0.5),
        "nothing": torch.empty(0, 7),
        "odd": NAN.clone(),
    }


def _tuned():
    moved = {}
    for name, tensor in _model().items():
        moved[name] = (
            tensor + 1e-3 * torch.randn(tensor.shape).to(tensor.dtype) if tensor.is_floating_point() else tensor
        )
    return moved | {"odd": NAN.flip(0), "head.weight": torch.randn(2, 30)}


def _read(folder, base):
    packed = PackedWeights(folder, where="the run")
    return {name: packed.tensor(name, None if packed.base_name(name) is None else base[name]) for name in packed.shapes}


def test_every_kind_of_tensor_comes_back_with_and_without_a_base(tmp_path):
    tuned, base = _tuned(), _model()
    for number, twins in enumerate((_twins(base), {}, _twins(base, {"body.weight", "scale"}))):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_packed(tuned, folder, twins)
        assert is_packed(folder)
        packed = PackedWeights(folder, where="the run")
        assert packed.base_name("head.weight") is None
        assert packed.base_name("scale") == ("base.scale" if twins else None)
        again = _read(folder, base)
        assert again.keys() == tuned.keys()
        for name, tensor in tuned.items():
            assert (again[name].dtype, again[name].shape) == (tensor.dtype, tensor.shape), name
            assert _bits(again[name]) == _bits(tensor), name


def test_a_half_precision_base_is_widened_as_the_network_widens_it(tmp_path):
    base = {"weight": torch.randn(300).bfloat16()}
    tuned = {"weight": base["weight"].float() + 1e-4 * torch.randn(300)}
    write_packed(tuned, tmp_path, _twins(base))
    packed = PackedWeights(tmp_path, where="the run")
    for told in (base["weight"], base["weight"].float(), torch.nn.Parameter(base["weight"].float())):
        assert torch.equal(packed.tensor("weight", told), tuned["weight"])


def test_equal_tensors_give_equal_bytes_whatever_the_threads(tmp_path):
    tuned, base = _tuned(), _model()
    written = []
    before = torch.get_num_threads()
    try:
        for number in (1, 2, 1):
            torch.set_num_threads(number)
            folder = tmp_path / str(len(written))
            folder.mkdir()
            write_packed(tuned, folder, _twins(base))
            written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    finally:
        torch.set_num_threads(before)
    assert written[0] == written[1] == written[2]


def test_files_are_bounded_and_none_may_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_FILE_BYTES", 3000)
    tuned, base = _tuned(), _model()
    write_packed(tuned, tmp_path, _twins(base))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"packed-0000{number}-of-00002.safetensors" for number in (1, 2)]
    assert all(_bits(tensor) == _bits(tuned[name]) for name, tensor in _read(tmp_path, base).items())
    (tmp_path / names[1]).unlink()
    with pytest.raises(ModelError, match=r"packed-00002-of-00002.safetensors .* is missing"):
        PackedWeights(tmp_path, where="the run")
    (tmp_path / "packed-00001-of-00003.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"of one number, found 2"):
        PackedWeights(tmp_path, where="the run")


def test_weights_that_share_their_memory_are_kept_once(tmp_path):
    shared = torch.randn(50, 20)
    tuned = {"embed": shared, "other": torch.randn(3), "head": shared, "turned": shared.T}
    write_packed(tuned, tmp_path, {})
    packed = PackedWeights(tmp_path, where="the run")
    assert packed.same_as == {"head": "embed"}
    assert packed.shapes == {name: tuple(tensor.shape) for name, tensor in tuned.items()}
    with safe_open(tmp_path / "packed-00001-of-00001.safetensors", framework="np") as file:
        assert sorted(file.keys()) == ["embed", "other", "turned"]
    assert all(torch.equal(packed.tensor(name, None), tensor) for name, tensor in tuned.items())


def test_another_base_is_refused_by_name(tmp_path):
    tuned, base = _tuned(), _model()
    write_packed(tuned, tmp_path, _twins(base))
    with pytest.raises(ModelError, match=r"the run: body.weight was packed against another tensor base.body.weight"):
        _read(tmp_path, _model(seed=1))
    nearly = base["body.weight"].clone()
    nearly.view(torch.int32)[3, 3] += 1
    with pytest.raises(ModelError, match=r"Give the very base model"):
        _read(tmp_path, base | {"body.weight": nearly})
    with pytest.raises(ModelError, match=r"Give the very base model"):
        _read(tmp_path, base | {"body.weight": base["body.weight"].T})


@pytest.mark.parametrize("place", [8, 200, -1, -500, -3000])
def test_a_flipped_bit_is_told(tmp_path, place):
    tuned, base = {"weight": torch.randn(60, 30)}, {"weight": torch.randn(60, 30)}
    write_packed(tuned, tmp_path, _twins(base))
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"the run"):
        _read(tmp_path, base)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_cut_file_is_told(tmp_path, size):
    write_packed(_tuned(), tmp_path, {})
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"packed-00001-of-00001.safetensors is damaged or not of this format"):
        PackedWeights(tmp_path, where="the run")


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told | {"format": 2},
        lambda told: told | {"tensors": told["tensors"] | {"more": told["tensors"]["scale"]}},
        lambda told: told | {"tensors": {"scale": told["tensors"]["scale"] | {"dtype": "load"}}},
        lambda told: told | {"tensors": {"scale": told["tensors"]["scale"] | {"shape": [-1]}}},
        lambda told: {},
    ],
    ids=["a newer format", "more tensors than held", "no type", "no shape", "empty"],
)
def test_a_list_that_does_not_fit_is_told(tmp_path, change):
    write_packed({"scale": torch.tensor(0.5)}, tmp_path, {})
    (path,) = tmp_path.iterdir()
    with safe_open(path, framework="np") as file:
        told, arrays = json.loads(file.metadata()["tunescope_packed"]), {"scale": file.get_tensor("scale")}
    save_arrays(arrays, path, metadata={"tunescope_packed": json.dumps(change(told))})
    with pytest.raises(ModelError, match=r"is damaged or not of this format"):
        PackedWeights(tmp_path, where="the run")


def test_a_shape_that_the_bytes_do_not_fill_is_told(tmp_path):
    write_packed({"weight": torch.randn(30)}, tmp_path, {})
    (path,) = tmp_path.iterdir()
    with safe_open(path, framework="np") as file:
        told, arrays = json.loads(file.metadata()["tunescope_packed"]), {"weight": file.get_tensor("weight")}
    told["tensors"]["weight"]["shape"] = [31]
    save_arrays(arrays, path, metadata={"tunescope_packed": json.dumps(told)})
    with pytest.raises(ModelError, match=r"tensor weight"):
        PackedWeights(tmp_path, where="the run").tensor("weight", None)


def test_a_tensor_that_shares_with_none_is_told(tmp_path):
    content = json.dumps({"format": 1, "tensors": {"head": {"same_as": "embed"}}})
    save_arrays({}, tmp_path / "packed-00001-of-00001.safetensors", metadata={"tunescope_packed": content})
    with pytest.raises(ModelError, match=r"head is the same as a tensor that is not there"):
        PackedWeights(tmp_path, where="the run")


def test_a_plain_model_is_not_packed(tmp_path):
    save_file({"weight": torch.randn(3)}, tmp_path / "model.safetensors")
    assert not is_packed(tmp_path)
    assert not is_packed(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"expected packed-00001-of-"):
        PackedWeights(tmp_path, where="the run")


def test_a_type_that_safetensors_has_not_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"wave is of type complex64, which cannot be packed"):
        write_packed({"wave": torch.zeros(2, dtype=torch.complex64)}, tmp_path, {})
