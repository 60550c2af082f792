"""What several tests need: where the mirror lies, and no hub by accident."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# A worker process starts in seconds, and most tests run several studies: those of the workers name their executor.
os.environ.setdefault("TUNESCOPE_EXECUTOR", "inline")

_REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The mirror folder of real data sets and small real models; tests that use it skip where it is absent."""
    folder = Path(os.environ.get("TUNESCOPE_MIRROR", _REPOSITORY.parent / "shared" / "mirror"))
    if not (folder / "datasets").is_dir():
        pytest.skip(f"no mirror folder at {folder}; set TUNESCOPE_MIRROR")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout: README, studies, pyproject.toml."""
    return _REPOSITORY


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> None:
    """A runner in the background (`nohup`, `&`) ignores signals, and commands started by it would too, rightly."""
    for one, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(one) is signal.SIG_IGN:
            signal.signal(one, default)
