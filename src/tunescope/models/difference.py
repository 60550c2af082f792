"""The bytes of a tensor as their difference from a base tensor's, compressed without loss.

Fine-tuning moves a weight by little, so as an integer the bit pattern of the tuned number is close to that of the base's. Per
block of elements: subtract the two patterns modulo 2^bits; fold the sign into the lowest bit (0, -1, 1, -2 -> 0, 1, 2, 3), so
that small differences have zeros on top; order them by the base's exponent, which says how many bits an update of a given
size takes; write all first bytes, then all second bytes and so on, each such plane compressed by itself. Whoever has the base
has the order too. Every bit pattern comes back: NaNs with their payload, minus zero, integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**20
"""Elements of a block."""

Words = NDArray[np.unsignedinteger]


def pack_words(words: Words, base: Words | None, *, num_threads: int = 1) -> tuple[NDArray[np.uint8], list[int]]:
    """Compresses bit patterns.

    Args:
        words: (n,) the patterns of a tensor's elements, uint8 to uint64.
        base: (n,) those of its base, of the same type; None where there is none.
        num_threads: Blocks compressed at once.

    Returns:
        (bytes,) uint8, all planes one after the other; and their lengths, block by block, the lowest plane first. A plane
        that compression would not make smaller is there as it is: its length is then the block's number of elements.

    Raises:
        ValueError: If the two differ in length or type.
    """
    if base is not None and (base.shape != words.shape or base.dtype != words.dtype):
        raise ValueError(f"pack_words: {words.shape} {words.dtype} against a base of {base.shape} {base.dtype}")

    def planes_of(start: int) -> list[bytes]:
        block = words[start : start + BLOCK]
        return _pack_block(block, None if base is None else base[start : start + BLOCK])

    with ThreadPoolExecutor(max_workers=num_threads) as threads:
        planes = [plane for block in threads.map(planes_of, range(0, len(words), BLOCK)) for plane in block]
    return np.frombuffer(b"".join(planes), dtype=np.uint8), [len(plane) for plane in planes]


def unpack_words(
    packed: NDArray[np.uint8], lengths: Sequence[int], out: Words, base: Words | None, *, num_threads: int = 1
) -> None:
    """Fills `out` with what `pack_words` was given.

    Args:
        packed: (bytes,) uint8.
        lengths: Of the planes in it.
        out: (n,) of the type that was packed; filled in place.
        base: (n,) the same base as at packing, or None as at packing. Another base of the type gives wrong patterns.
        num_threads: Blocks unpacked at once.

    Raises:
        ValueError: If bytes and lengths cannot be those of n elements.
    """
    size = out.dtype.itemsize
    starts = range(0, len(out), BLOCK)
    if len(lengths) != size * len(starts) or sum(lengths) != len(packed) or any(length < 0 for length in lengths):
        raise ValueError(f"unpack_words: {len(lengths)} planes of {len(packed)} bytes for {len(out)} elements")
    ends = np.cumsum([0, *lengths])

    def fill(number: int) -> None:
        block = out[starts[number] : starts[number] + BLOCK]
        planes = [packed[ends[i] : ends[i + 1]] for i in range(number * size, (number + 1) * size)]
        _unpack_block(planes, block, None if base is None else base[starts[number] : starts[number] + BLOCK])

    with ThreadPoolExecutor(max_workers=num_threads) as threads:
        for _ in threads.map(fill, range(len(starts))):
            pass


def _pack_block(block: Words, base: Words | None) -> list[bytes]:
    import pyarrow as pa

    patterns: NDArray[Any] = block
    if base is not None:
        change = block - base
        sign: NDArray[Any] = change.view(_signed(change)) >> (_bits(change) - 1)  # all ones below zero
        patterns = ((change << change.dtype.type(1)) ^ sign.view(change.dtype))[_order(base)]
    planes = []
    for number in range(block.dtype.itemsize):
        plane = (patterns >> block.dtype.type(8 * number)).astype(np.uint8).tobytes()
        smaller = pa.compress(plane, codec="zstd", asbytes=True)
        planes.append(smaller if len(smaller) < len(plane) else plane)
    return planes


def _unpack_block(planes: list[NDArray[np.uint8]], block: Words, base: Words | None) -> None:
    import pyarrow as pa

    folded = np.zeros_like(block)
    for number, plane in enumerate(planes):
        if len(plane) != len(block):
            try:
                plain = pa.decompress(plane.data, decompressed_size=len(block), codec="zstd")
            except OSError as error:
                raise ValueError(f"unpack_words: plane {number} of a block cannot be decompressed: {error}") from error
            plane = np.frombuffer(plain, dtype=np.uint8)
        folded |= plane.astype(block.dtype) << block.dtype.type(8 * number)
    if base is None:
        block[:] = folded
        return
    one = folded.dtype.type(1)
    sign = np.negative((folded & one).view(_signed(folded)))
    block[_order(base)] = (folded >> one) ^ sign.view(folded.dtype)
    block += base


def _order(base: Words) -> NDArray[np.intp]:
    """The elements by the eight bits after the sign, the exponent of float32 and bfloat16; ties stay as they were."""
    exponent = (base >> base.dtype.type(_bits(base) - 9)) if base.dtype.itemsize > 1 else base
    return np.argsort(exponent.astype(np.uint8), kind="stable")


def _bits(words: Words) -> int:
    return 8 * words.dtype.itemsize


def _signed(words: Words) -> np.dtype[np.signedinteger]:
    return np.dtype(f"i{words.dtype.itemsize}")
