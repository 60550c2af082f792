"""Every change that a process makes on disk, counted as it comes, so that something can happen just before any one of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

_EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def before_each_touch(happen: Callable[[int, str, str], None]) -> None:
    """Calls `happen` with the number of the touch, from 1, its name and its path, for as long as the process lives.

    What it raises comes out of the call that touches the disk. Moments between reads leave the disk as it is, and are none.
    """
    number = 0

    def touch(event: str, path: object) -> None:
        nonlocal number
        number += 1
        happen(number, event, str(path))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS or (event == "open" and arguments[2] & _WRITING):
            touch(event, arguments[0])

    def counted(sync: Callable[[int], None]) -> Callable[[int], None]:
        def fsync(descriptor: int) -> None:
            touch("os.fsync", descriptor)
            sync(descriptor)

        return fsync

    os.fsync = counted(os.fsync)  # type: ignore[assignment]
    sys.addaudithook(hook)
