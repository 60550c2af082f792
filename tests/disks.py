"""A small disk of its own, for tests of what happens when one is full or read-only."""

from __future__ import annotations

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
        subprocess.run(["umount", str(folder)], check=True)
