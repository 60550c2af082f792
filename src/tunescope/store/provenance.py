"""Which code ran on which machine, asked for once per process."""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
import platform
import shutil
import socket
import subprocess
from pathlib import Path

import psutil

from tunescope.store.record import Machine

_LOG = logging.getLogger(__name__)

LIBRARIES = (
    "tunescope",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "pyarrow",
    "pydantic",
)
"""The libraries whose version may bear on a number."""

_ANSWER_WITHIN_S = 20.0


@functools.cache
def library_versions() -> dict[str, str]:
    """Name -> version of those of `LIBRARIES` that are installed."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@functools.cache
def checkout_state() -> tuple[str | None, bool | None]:
    """Commit of the checkout tunescope runs from, and whether its `src` differs from it; (None, None) outside one."""
    return checkout_of(Path(__file__).resolve().parents[1])


def checkout_of(package: Path) -> tuple[str | None, bool | None]:
    """As `checkout_state`, for a package folder: one is in a checkout if it is <root>/src/<package> with <root>/.git."""
    root = package.parent.parent
    if package.parent.name != "src" or not (root / ".git").exists():
        return None, None
    # One call tells both; it takes no lock, so that it never disturbs a git command of the user's.
    command = ["git", "--no-optional-locks", "-C", str(root), "status", "--porcelain=v2", "--branch", "--", "src"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_WITHIN_S, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        _LOG.warning("git does not tell the commit of %s (%s): records will say it is unknown.", root, error)
        return None, None
    lines = said.splitlines()
    commits = [line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid ")]
    if commits in ([], ["(initial)"]):
        return None, None
    return commits[0], any(not line.startswith("#") for line in lines)


@functools.cache
def this_machine() -> Machine:
    """The machine this process runs on."""
    return Machine(
        hostname=socket.gethostname(),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        num_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 2),
        gpus=_gpus(),
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str] | None:
    # The driver's own tool, so that asking never imports torch nor takes memory on a GPU.
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_WITHIN_S, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        _LOG.warning("nvidia-smi does not answer (%s): records will say that the GPUs are unknown.", error)
        return None
    return [line.strip() for line in said.splitlines() if line.strip()]
