"""Bit patterns against a base: all come back, small differences take little, what cannot be is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tunescope.models import difference
from tunescope.models.difference import pack_words, unpack_words

TYPES = (np.uint8, np.uint16, np.uint32, np.uint64)


def _back(packed, lengths, words, base):
    out = np.empty_like(words)
    unpack_words(packed, lengths, out, base)
    return out


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 33])
@pytest.mark.parametrize("has_base", [True, False])
def test_every_pattern_comes_back_over_block_borders(dtype, size, has_base, monkeypatch):
    monkeypatch.setattr(difference, "BLOCK", 8)
    generator = np.random.default_rng(3)
    words, base = (generator.integers(0, np.iinfo(dtype).max, size, dtype, endpoint=True) for _ in range(2))
    words[: size // 2] = base[: size // 2]
    words[-1:] = np.iinfo(dtype).max
    told = base if has_base else None
    packed, lengths = pack_words(words, told)
    np.testing.assert_array_equal(_back(packed, lengths, words, told), words)


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(difference, "BLOCK", 100)
    base = np.random.default_rng(0).integers(0, 2**32, 950, np.uint32)
    words = base + np.arange(950, dtype=np.uint32)
    alone, together = (pack_words(words, base, num_threads=number) for number in (1, 3))
    assert alone[0].tobytes() == together[0].tobytes()
    assert alone[1] == together[1]
    out = np.empty_like(words)
    unpack_words(*alone, out, base, num_threads=3)
    np.testing.assert_array_equal(out, words)


@pytest.mark.parametrize("rounds", [True, False], ids=["a base of bfloat16 values", "a base of float32 values"])
@pytest.mark.parametrize("update, bits", [(1e-5, 16.1), (5e-4, 21.7)])
def test_an_update_takes_little_more_than_its_own_entropy(rounds, update, bits):
    """log2(update / spacing) + log2(sqrt(2 pi e)) bits: 15.5 and 21.1 on average over these weights."""
    generator = np.random.default_rng(1)
    base = (0.02 * generator.standard_normal(2**20)).astype(np.float32)
    if rounds:
        base = (base.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    tuned = base + (update * generator.standard_normal(2**20)).astype(np.float32)
    entropy = np.log2(update / np.spacing(np.abs(tuned)).astype(float)).mean() + np.log2(np.sqrt(2 * np.pi * np.e))
    packed, _ = pack_words(tuned.view(np.uint32), base.view(np.uint32))
    took = 8 * len(packed) / len(base)
    assert entropy < took < min(bits, entropy + 0.6)


def test_a_tensor_that_did_not_change_takes_nearly_nothing():
    base = np.random.default_rng(1).integers(0, 2**32, 10_000, np.uint32)
    assert len(pack_words(base, base)[0]) < 100


def test_noise_is_kept_as_it_is():
    words = np.random.default_rng(1).integers(0, 2**32, 10_000, np.uint32)
    packed, lengths = pack_words(words, None)
    assert lengths == [10_000] * 4
    assert len(packed) == words.nbytes


def test_what_does_not_fit_is_refused():
    words = np.arange(10, dtype=np.uint32)
    for base in (words[:9], words.astype(np.uint64)):
        with pytest.raises(ValueError, match="against a base"):
            pack_words(words, base)
    packed, lengths = pack_words(words, None)
    for wrong in (lengths[:-1], [*lengths, 0], [lengths[0] + 1, *lengths[1:]], []):
        with pytest.raises(ValueError, match="unpack_words"):
            _back(packed, wrong, words, None)
    with pytest.raises(ValueError, match="unpack_words"):
        _back(packed, [-1, *lengths[1:3], lengths[3] + lengths[0] + 1], words, None)


def test_bytes_that_zstd_cannot_read_are_refused():
    words = np.zeros(1000, dtype=np.uint32)
    packed, lengths = pack_words(words, None)
    broken = packed.copy()
    broken[:4] = 0
    with pytest.raises(ValueError, match="cannot be decompressed"):
        _back(broken, lengths, words, None)
