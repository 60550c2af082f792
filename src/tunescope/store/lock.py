"""One run on a store at a time. The operating system lets go of the lock when its holder dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store.atomic import writing_in


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds the lock file while the block runs; the file says who holds it.

    Raises:
        StoreError: If another process holds it, naming pid, host, since when and its command; or if the file system
            cannot lock or not be written to.
    """
    with writing_in(path.parent):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(_held_by_another(path)) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
                raise
            raise StoreError(
                f"cannot lock {path}: this file system has no flock ({error.strerror}). Name a store on a local disk with --store."
            ) from error
        with writing_in(path.parent):
            _write(descriptor, json.dumps(_holder()))
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def command_line(arguments: Sequence[str]) -> str:
    """A command for people to recognise, without its values: what stands behind a '=' may be a secret.

    Example:
        >>> command_line(["/usr/bin/tunescope", "run", "study.yaml", "--set", "tracker.key=abc"])
        'tunescope run study.yaml --set tracker.key=...'
    """
    program, *rest = arguments or ["python"]
    said = [f"{word.partition('=')[0]}=..." if "=" in word else word for word in rest]
    return shlex.join([Path(program).name or "python", *said])


def _holder() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(sys.argv),
    }


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _held_by_another(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        who = f"by process {holder['pid']} on {holder['host']} since {holder['since']}: {holder['command']}"
    except (ValueError, KeyError, TypeError):
        who = "by a process that is just starting or ending"  # it took the lock and has not written its name yet
    return f"the store {path.parent} is in use {who}. Wait until it has ended, or stop it; a store serves one run at a time."
