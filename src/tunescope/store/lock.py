"""One run on a store at a time. The operating system lets go of the lock when its last holder dies, however it dies.

Worker processes of a run inherit the lock's descriptor: while one of them lives the store stays locked, also where the command
that started it was killed, so no job is ever done by two runs at once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tunescope.errors import StoreError
from tunescope.store.atomic import writing_in

PATIENCE_S = 10.0
"""How long the workers of a command that was killed may take to notice it and go."""
_LOOK_AGAIN_S = 0.05

_HELD: dict[Path, int] = {}
"""Lock file -> descriptor, of the locks that this process holds."""


@contextmanager
def held(path: Path, *, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Holds the lock file while the block runs; the file says who holds it.

    Where the holder that it names was a process of this host and is dead, its workers still have the lock for a moment: then,
    and where the holder has not written its name yet or has just taken it out, this waits.

    Args:
        path: The lock file.
        patience_s: How long at most.

    Raises:
        StoreError: If another process holds it, naming pid, host, since when and its command; or if the file system
            cannot lock or not be written to.
    """
    with writing_in(path.parent):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor, path, patience_s)
        with writing_in(path.parent):
            _write(descriptor, json.dumps(_this_process()))
        _HELD[path.resolve()] = descriptor
        try:
            yield
        finally:
            del _HELD[path.resolve()]
            with suppress(OSError):  # on a broken disk: who takes the lock next writes over it
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock file, for who only looks; this one must not."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:  # a file system without flock serves no run either
        return error.errno in (errno.EWOULDBLOCK, errno.EAGAIN)
    finally:
        os.close(descriptor)
    return False


def descriptor_held(path: Path) -> int | None:
    """The descriptor by which this process holds a lock file, for a worker process to inherit; None if it does not hold it."""
    return _HELD.get(path.resolve())


def held_by_another(path: Path) -> str:
    """The message of a store whose lock file another process holds: who, as the file says, and what to do."""
    holder = _holder(path)
    if holder is None:
        who = "by a process that is just starting or ending"  # it took the lock and has not written its name yet
    else:
        who = f"by process {holder['pid']} on {holder['host']} since {holder['since']}: {holder['command']}"
        if _is_dead(holder):
            who += (
                ". That process has ended, but one that it started holds the store still: "
                "`pgrep -fl tunescope.execution.local.serve` shows it"
            )
    return f"the store {path.parent} is in use {who}. Wait until it has ended, or stop it; a store serves one run at a time."


def command_line(arguments: Sequence[str]) -> str:
    """A command for people to recognise, without its values: what stands behind a '=' may be a secret.

    Example:
        >>> command_line(["/usr/bin/tunescope", "run", "study.yaml", "--set", "tracker.key=abc"])
        'tunescope run study.yaml --set tracker.key=...'
    """
    program, *rest = arguments or ["python"]
    said = [f"{word.partition('=')[0]}=..." if "=" in word else word for word in rest]
    return shlex.join([Path(program).name or "python", *said])


def _lock(descriptor: int, path: Path, patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path)
            if time.monotonic() >= until or (holder is not None and not _is_dead(holder)):
                raise StoreError(held_by_another(path)) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
                raise
            raise StoreError(
                f"cannot lock {path}: this file system has no flock ({error.strerror}). Name a store on a local disk with --store."
            ) from error
        else:
            return
        time.sleep(_LOOK_AGAIN_S)


def _this_process() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(sys.argv),
    }


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _holder(path: Path) -> Mapping[str, Any] | None:
    """Who the lock file says holds it; None where nobody has written a name, or half of one."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return {"pid": int(holder["pid"])} | {name: holder[name] for name in ("host", "since", "command")}
    except (ValueError, KeyError, TypeError):
        return None


def _is_dead(holder: Mapping[str, Any]) -> bool:
    """Whether it was a process of this host that is there no longer; of other hosts nothing is known."""
    if holder["host"] != socket.gethostname():
        return False
    try:
        return psutil.Process(holder["pid"]).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
