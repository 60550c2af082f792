"""Resident memory and processor time of this process and the processes it started."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_LOOK_FOR_CHILDREN_EVERY = 5


class OwnProcesses:
    """Asked again and again; looks for new children at every fifth asking, because that costs most."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._children: list[psutil.Process] = []
        self._num_asked = 0

    def rss_and_cpu(self) -> tuple[float, float]:
        """Resident memory, GiB, and processor seconds so far, of this process and its children at any remove.

        Pages that they share count once each. The time of a child that has ended counts once it was waited for.
        """
        if self._num_asked % _LOOK_FOR_CHILDREN_EVERY == 0:
            known = {child.pid: child for child in self._children}
            self._children = [known.get(pid) or child for pid in _children(self._me) if (child := _process(pid))]
        self._num_asked += 1
        rss = self._me.memory_info().rss
        # The kernel's ticks are 10 ms, too coarse for a job of a few of them: of this process itself there is a finer clock.
        seconds = time.process_time() + _waited_for(self._me)
        for child in self._children:
            try:
                times = child.cpu_times()
                rss += child.memory_info().rss
                seconds += times.user + times.system + _waited_for(child)
            except psutil.Error:  # it has ended
                continue
        return rss / 2**30, seconds


def _waited_for(process: psutil.Process) -> float:
    """Processor seconds of a process's children that have ended; 0 on systems that do not count them."""
    times = process.cpu_times()
    return float(getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0))


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _children(process: psutil.Process) -> list[int]:
    """Process ids. The kernel's own list where it keeps one: psutil reads every process of the machine instead."""
    if Path(f"/proc/{process.pid}/task/{process.pid}/children").exists():
        return list(_below(process.pid))
    try:
        return [child.pid for child in process.children(recursive=True)]
    except psutil.Error:
        return []


def _below(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            text = Path(f"/proc/{pid}/task/{thread}/children").read_text(encoding="ascii")
        except OSError:
            continue
        for child in map(int, text.split()):
            yield child
            yield from _below(child)
