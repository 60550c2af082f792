"""Ctrl-C, SIGTERM and a terminal that closes all ask a command to stop: once gently, twice at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

GRACE_S = 25.0
"""Seconds that what is under way has for its checkpoints; a spot instance is taken away 30 s after its SIGTERM."""

_ECHO_S = 1.0


@dataclass
class StopRequest:
    """Whether someone asked the run to stop."""

    asked: bool = False


@contextmanager
def stop_on_signals(on_asked: Callable[[], bool] = lambda: False, *, grace_s: float = GRACE_S) -> Iterator[StopRequest]:
    """While the block runs, SIGINT, SIGTERM and SIGHUP ask it to stop, or raise KeyboardInterrupt in the main thread.

    The first signal calls `on_asked`. Where that says that the block will end by itself, nothing is raised until a second
    signal or `grace_s` seconds later; else KeyboardInterrupt is raised at once. A SIGTERM or SIGHUP right after the first signal
    is no second one: a service manager signals a script and what it runs, and the script passes its own on. What was asked is remembered, because an
    exception raised inside a destructor or a callback of C code is swallowed. A signal that the process was started to
    ignore (`nohup`, a background job) stays ignored. Outside the main thread nothing is installed: Python lets only that
    one handle signals, and the caller's handlers stay in force.

    Args:
        on_asked: Called inside the handler, once.
        grace_s: Seconds.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    asked_at: list[float] = []
    timers: list[threading.Timer] = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked_at.append(time.monotonic())
        request.asked = True
        is_echo = number != signal.SIGINT and asked_at[-1] - asked_at[0] < min(_ECHO_S, grace_s)
        if timers and is_echo:
            return
        if timers or not on_asked():
            raise KeyboardInterrupt
        timers.append(threading.Timer(grace_s, os.kill, (os.getpid(), number)))  # as if asked a second time
        timers[0].daemon = True
        timers[0].start()

    told = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    wanted = [one for one in told if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, stop) for one in wanted}
    try:
        yield request
    finally:
        for timer in timers:
            timer.cancel()
        for one, handler in before.items():
            signal.signal(one, handler)
