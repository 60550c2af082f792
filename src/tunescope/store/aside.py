"""A folder written aside, beside the one whose place it takes; what killed writers left there goes with the next one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store.atomic import TEMPORARY

_OLD = "-old"


@contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """Yields a new folder beside `target` for `put_in_place`; gone when the block ends, unless it was put there.

    Its writer holds a lock on it, which ends with the process: so what is nobody's any more is known, on any machine.

    Args:
        target: Where the folder is to go; the folder above it is there.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{target.name}-", dir=target.parent))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: what is left there stays
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.chmod(target.parent.stat().st_mode & 0o777)  # mkdtemp's own is for the owner alone
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
    _sweep(target)


def put_in_place(folder: Path, target: Path) -> None:
    """Renames the folder to its place; what is there is moved aside first, put back if that fails, and deleted if not.

    Raises:
        StoreError: If it cannot be replaced.
    """
    if not target.exists():
        os.rename(folder, target)
        return
    old = folder.with_name(f"{folder.name}{_OLD}")
    os.rename(target, old)
    try:
        os.rename(folder, target)
    except OSError as error:
        os.rename(old, target)
        raise StoreError(f"{target} cannot be replaced: {error.strerror}. The old one is still there.") from error
    shutil.rmtree(old, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Deletes what writers of the same folder left when they were killed."""
    for left in target.parent.glob(f"{TEMPORARY}{target.name}-*"):
        if not _is_held(left.with_name(left.name.removesuffix(_OLD))):
            shutil.rmtree(left, ignore_errors=True)


def _is_held(folder: Path) -> bool:
    """Whether its writer lives, or may: where locks do not work that is not known."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # put in its place meanwhile: what was there before is nobody's
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
