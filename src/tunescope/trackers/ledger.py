"""What a tracker was told, run by run: kept in the store, so that nothing is told twice."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from tunescope.fields import Frozen
from tunescope.store.atomic import write_json, writing_in
from tunescope.trackers.told import ToldRun
from tunescope.trackers.tracker import TrackerError


class Told(Frozen):
    """What a tracker was last told of a run."""

    sha256: str
    """Of all of it."""
    num_points: int
    points_sha256: str
    """Of its points alone."""


class Ledger:
    """A file per run under `STORE/exports/<tracker>/told/<target>/`."""

    def __init__(self, folder: Path, target: str) -> None:
        self._folder = folder / "told" / hashlib.sha256(target.encode()).hexdigest()[:16]
        with writing_in(folder.parent):
            self._folder.mkdir(parents=True, exist_ok=True)

    def told(self, run: ToldRun) -> Told | None:
        """What was told of a run and is known to have arrived; None where a telling was cut off, too."""
        try:
            return Told.model_validate_json(self._file(run).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValidationError):  # a file that says nothing: it is told anew
            return None

    @contextmanager
    def telling(self, run: ToldRun) -> Iterator[None]:
        """Keeps what was told once the block has ended well; until then nobody knows what the tracker has."""
        self._file(run).unlink(missing_ok=True)
        yield
        num = len(run.points)
        told = Told(sha256=run.digest(), num_points=num, points_sha256=run.points_digest(num))
        write_json(self._file(run), told.model_dump())

    def _file(self, run: ToldRun) -> Path:
        return self._folder / f"{run.id}.json"


@contextmanager
def alone(folder: Path, *, patience_s: float) -> Iterator[None]:
    """Keeps other processes from telling the same tracker of the same store while the block runs.

    Args:
        folder: The tracker's, in the store's exports.
        patience_s: How long to wait for another process to end.

    Raises:
        TrackerError: If it does not end, naming it.
    """
    with writing_in(folder.parent.parent):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    holder = (folder / "lock").read_text(encoding="utf-8") or "another process"
                    raise TrackerError(
                        f"{folder} is in use by {holder}: wait until it has ended, then run the same command again."
                    ) from None
                time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)
