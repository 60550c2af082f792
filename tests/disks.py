"""A small disk of its own, for tests of what happens when one is full or read-only; and a root whom permissions bind."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk_at(folder: Path) -> Iterator[Callable[[str], None]]:
    """Mounts a disk of 1 MiB; yields a function that mounts it anew with other options. Skips where this user may not mount."""
    folder.mkdir()

    def mount(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)

    if shutil.which("mount") is None:
        pytest.skip("needs the operating system's `mount` command, which is not installed")
    tried = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    if tried.returncode:
        pytest.skip(f"needs the right to mount a tmpfs (root on Linux); mount said: {tried.stderr.strip()}")
    try:
        yield lambda options: mount("-o", f"remount,{options}", "-t", "tmpfs", "tmpfs").check_returncode()
    finally:
        # Lazily: the log records that pytest keeps hold errors, whose frames may hold a file open or mapped.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2
"""Of <linux/prctl.h> and <linux/capability.h>."""


def bound_by_permissions() -> None:
    """For `preexec_fn` of a process: root loses its right to read and write whatever the permissions say, before it starts."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        if libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "this user may not give up its rights")
