"""Whatever the bits of a tensor and of its base, packing and unpacking gives the tensor's bits back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunescope.models.packed import PackedWeights, Twin, words_of, write_packed

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_OTHERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def _tensors(draw, dtype, shape):
    """Any bit patterns: NaNs with any payload, both zeros, both infinities, subnormals."""
    size = int(np.prod(shape)) * dtype.itemsize
    return (
        torch.frombuffer(bytearray(draw(st.binary(min_size=size, max_size=size)) + b"\0" * 8), dtype=torch.uint8)[:size]
        .clone()
        .view(dtype)
        .reshape(shape)
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_bits_come_back(data):
    tensors, twins = {}, {}
    for number in range(data.draw(st.integers(1, 3))):
        name, shape = f"layer.{number}", tuple(data.draw(st.lists(st.integers(0, 5), max_size=3)))
        dtype = data.draw(st.sampled_from((*_FLOATS, *_OTHERS)))
        tensors[name] = _tensors(data.draw, dtype, shape)
        if data.draw(st.booleans()):
            base = _tensors(data.draw, dtype, shape)
            twins[name] = Twin(name=f"base.{name}", read=lambda base=base: base)
    with tempfile.TemporaryDirectory() as folder:
        write_packed(tensors, Path(folder), twins)
        packed = PackedWeights(Path(folder), where="a folder")
        assert packed.shapes == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            again = packed.tensor(name, twins[name].read() if name in twins else None)
            assert again.dtype == tensor.dtype
            assert again.shape == tensor.shape
            assert words_of(again).tobytes() == words_of(tensor).tobytes()
