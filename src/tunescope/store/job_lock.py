"""One worker on a job at a time, whatever became of the driver that sent it: a lock file beside the job's work folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store.atomic import writing_in
from tunescope.store.names import SHORT_DIGITS
from tunescope.store.store import Store

PATIENCE_S = 90.0
"""A worker whose driver or head has died ends within this time."""


@contextmanager
def job_held(
    store: Store,
    kind: str,
    id: str,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Holds the job while the block runs; the operating system lets go of it when the process dies, however it dies.

    Raises:
        StoreError: If another process still holds it after `patience_s` seconds.
    """
    path = store.layout.busy(kind, id)
    with writing_in(store.path):
        path.parent.mkdir(exist_ok=True)
    descriptor = _locked(path)
    left_s = patience_s
    while descriptor is None:
        if left_s <= 0.0:
            raise StoreError(
                f"job {kind}/{id[:SHORT_DIGITS]} is still under way in another process, left over from an earlier run on "
                f"{store.path}: expected it to end within {patience_s:.0f} s. Stop that process, then run the same command again."
            )
        sleep(min(0.5, left_s))
        left_s -= 0.5
        descriptor = _locked(path)
    try:
        yield
    finally:
        if _is_at(descriptor, path):
            path.unlink(missing_ok=True)  # while it is held: who waits for it finds out and makes its own
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the file; None where another process does, or the file was deleted in between."""
    with writing_in(path.parent):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the file that is held is the one of that name; it may have been deleted, and made anew by another."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
