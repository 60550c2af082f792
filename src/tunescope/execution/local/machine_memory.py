"""How much memory the machine, or the container around this process, has left, and whether its kernel has killed for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_VMSTAT = Path("/proc/vmstat")
_GIB = 2.0**30


@dataclass(frozen=True, kw_only=True)
class MachineMemory:
    """One reading."""

    total_gib: float
    available_gib: float
    """What processes could still take without swapping: files kept in memory make room."""
    num_killed: int | None
    """Processes that the kernel has killed for memory since it started; None where it does not say."""


def machine_memory(cgroup: Path = _CGROUP, vmstat: Path = _VMSTAT) -> MachineMemory:
    """The memory of the machine or, where that has less, of the container.

    Args:
        cgroup: Where the kernel tells a container's limit (memory.max, cgroup v2; memory/memory.limit_in_bytes, v1).
        vmstat: Where it counts processes killed for memory ("oom_kill", Linux 4.13 and later).
    """
    found = psutil.virtual_memory()
    total, available = found.total, found.available
    for folder, limit_name, used_name, cache_name in (
        (cgroup, "memory.max", "memory.current", "inactive_file"),
        (cgroup / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = _number(folder / limit_name), _number(folder / used_name)
        if limit is None or used is None or limit >= total:
            continue
        cached = _counted(folder / "memory.stat", cache_name) or 0
        total, available = limit, min(available, max(0, limit - used + cached))
    return MachineMemory(
        total_gib=total / _GIB, available_gib=available / _GIB, num_killed=_counted(vmstat, "oom_kill")
    )


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max": no limit


def _counted(file: Path, name: str) -> int | None:
    """A number from lines of "name number"."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), None)
