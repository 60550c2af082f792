"""One `tunescope run` in a process of its own, with its worker processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

_SERVE = "tunescope.execution.local.serve"


class Command:
    """`tunescope run` of a study, begun when it is made.

    Args:
        study: The study's file.
        store: Where it keeps its results.
        log: What it says is appended here.
        options: Further arguments, such as `--workers 2`.
    """

    def __init__(self, study: Path, store: Path, log: Path, options: Sequence[str]) -> None:
        self._began = time.monotonic()
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tunescope", "run", str(study), "--store", str(store), *options],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
                start_new_session=True,  # Ctrl-C is for this program, which ends the command itself
            )

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        try:
            children = psutil.Process(self._process.pid).children(recursive=True)
            return [child for child in children if _SERVE in child.cmdline()]
        except psutil.Error:  # one of them has just gone
            return []

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.code is not None


def tell(*words: str | Path) -> str:
    """What another `tunescope` command prints.

    Raises:
        RuntimeError: If its exit code is not 0.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "tunescope", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"tunescope {' '.join(map(str, words))} ended with {ended.returncode}: {ended.stderr}")
    return ended.stdout
