"""One run at a time on object storage, which has no locks: an object that says who holds the store, rewritten while it does."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from tunescope.errors import StoreError
from tunescope.store.lock import command_line
from tunescope.store.remote.objects import Objects

LEASE_FILE = "lease.json"
RENEWED_EVERY_S = 10.0
STALE_AFTER_S = 45.0
"""A lease that whoever waits has seen unchanged for so long, by its own steady clock, is a dead run's. No clock of another
machine and no date is compared, so clocks that differ or jump do no harm."""
_SETTLE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The lease's times, seconds; other ones in tests."""

    renew_s: float = RENEWED_EVERY_S
    stale_s: float = STALE_AFTER_S
    settle_s: float = _SETTLE_S


PACE = Pace()


class Lease:
    """The lease of one holder. Use `leased`."""

    def __init__(self, objects: Objects, pace: Pace) -> None:
        self._objects, self._pace = objects, pace
        self._me = secrets.token_hex(8)
        self._count = 0
        self._ended = threading.Event()
        self._problem = ""
        self._since = datetime.now(UTC).isoformat(timespec="seconds")

    def check(self) -> None:
        """Raises if another run has taken the lease, or it could not be renewed in time.

        Raises:
            StoreError: If so.
        """
        if self._problem:
            raise StoreError(self._problem)

    def take(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """Waits while a holder's signs of life stop, then takes its place.

        Raises:
            StoreError: If another run holds it.
        """
        first = self._objects.read(LEASE_FILE)
        since, stale_s = clock(), self._pace.stale_s
        while first is not None and clock() - since < stale_s:
            sleep(min(1.0, self._pace.renew_s / 2.0))
            if self._objects.read(LEASE_FILE) != first:
                now = self._objects.read(LEASE_FILE)
                if now is not None:
                    raise StoreError(_held(self._objects.url, now))
                break
        self._renew()
        sleep(self._pace.settle_s)  # of two that write at once the later one stays
        found = self._objects.read(LEASE_FILE)
        if _holder(found) != self._me:
            raise StoreError(_held(self._objects.url, found))

    def keep(self) -> None:
        """Renews until released; the body of a thread."""
        failing_since: float | None = None
        while not self._ended.wait(self._pace.renew_s):
            try:
                found = self._objects.read(LEASE_FILE)
                if _holder(found) != self._me:
                    self._problem = (
                        f"this run has lost the store {self._objects.url}: it could not be reached for a while, and another run took "
                        "it over. What was done is kept; run the command again when that one has ended."
                    )
                    return
                self._renew()
                failing_since = None
            except StoreError as error:
                failing_since = time.monotonic() if failing_since is None else failing_since
                if time.monotonic() - failing_since > self._pace.stale_s:
                    self._problem = f"the lease of {self._objects.url} could not be renewed: {error}"
                    return

    def end(self) -> None:
        """Asks `keep` to end; one renewal may be under way."""
        self._ended.set()

    def release(self) -> None:
        """Lets go, once `keep` has ended: a renewal that was under way would write the lease anew."""
        if not self._problem and _holder(self._objects.read(LEASE_FILE)) == self._me:
            self._objects.delete(LEASE_FILE)

    def _renew(self) -> None:
        self._count += 1
        told = {
            "holder": self._me,
            "count": self._count,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": self._since,
            "command": command_line(sys.argv),
        }
        self._objects.write(LEASE_FILE, json.dumps(told).encode())


@contextmanager
def leased(
    objects: Objects,
    *,
    pace: Pace = PACE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Lease]:
    """Holds the lease while the block runs. Taking over a dead run's lease takes `pace.stale_s` seconds.

    Raises:
        StoreError: If another run holds it, naming its pid, host, since when and command; or the storage does not answer.
    """
    lease = Lease(objects, pace)
    lease.take(clock, sleep)
    thread = threading.Thread(target=lease.keep, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.end()
        thread.join(timeout=pace.stale_s)  # beyond, whoever waits may take it over
        lease.release()


def _holder(content: bytes | None) -> str | None:
    try:
        holder = json.loads(content)["holder"] if content is not None else None
    except (ValueError, KeyError, TypeError):
        return None
    return holder if isinstance(holder, str) else None


def _held(url: str, content: bytes | None) -> str:
    try:
        told = json.loads(content or b"")
        who = f"by process {told['pid']} on {told['host']} since {told['since']}: {told['command']}"
    except (ValueError, KeyError, TypeError):
        who = "by another run that is just starting or ending"
    return f"the store {url} is in use {who}. Wait until it has ended, or stop it; a store serves one run at a time."
