"""Memory that is used again: what asks under one name shares it, what asks under another does not."""

from __future__ import annotations

import numpy as np

from tunescope.similarity.room import Room


def test_the_same_name_is_the_same_memory() -> None:
    room = Room()
    first = room.array("gram", (4, 5), np.float32)
    first[...] = 7.0
    again = room.array("gram", (2, 3), np.float32)
    assert np.shares_memory(first, again)
    assert (again == 7.0).all()
    assert again.shape == (2, 3)
    assert again.dtype == np.float32


def test_another_name_or_more_than_there_is_is_other_memory() -> None:
    room = Room()
    small = room.array("gram", (3,), np.float64)
    assert not np.shares_memory(small, room.array("rows", (3,), np.float64))
    assert not np.shares_memory(small, room.array("gram", (300,), np.float64))


def test_arrays_begin_at_a_cache_line() -> None:
    room = Room()
    for num in (1, 3, 1000, 10**6):
        assert room.array("rows", (num,), np.float32).ctypes.data % 64 == 0
