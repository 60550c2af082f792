"""Ctrl-C, SIGTERM and a terminal that closes all ask a command to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequest:
    """Whether someone asked the run to stop."""

    asked: bool = False


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """While the block runs, SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread and are remembered.

    Remembered, because an exception raised inside a destructor or a callback of C code is swallowed. A signal that the
    process was started to ignore (`nohup`, a background job) stays ignored. Outside the main thread nothing is installed:
    Python lets only that one handle signals, and the caller's handlers stay in force.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def stop(number: int, frame: FrameType | None) -> None:
        request.asked = True
        raise KeyboardInterrupt

    told = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    wanted = [one for one in told if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, stop) for one in wanted}
    try:
        yield request
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
