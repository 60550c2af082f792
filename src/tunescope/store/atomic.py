"""Files that are there whole or not at all, and that are on the disk when the call returns."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store.identity import canonical_json

TEMPORARY = ".tmp-"
"""How the name of a half-written file starts; a crash may leave one behind, and nothing reads it."""

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
_TOO_LARGE = "the file is larger than this process or the file system allows (`ulimit -f` says how large)"
_BROKEN = {
    errno.EIO: "the disk reports an input/output error",
    errno.EUCLEAN: "the file system says it is damaged",
    errno.ESTALE: "the folder is gone from its file server (stale NFS handle)",
}
_CLOSED = {
    errno.EROFS: "is on a read-only file system",
    errno.EACCES: "is not writable",
    errno.EPERM: "is not writable",
}


def write_json(path: Path, value: object) -> None:
    """Writes JSON for people to read (indented), whole or not at all; see `write_text`.

    Raises:
        StoreError: As `write_text`, and at what canonical JSON refuses (NaN, sets ...), with its place.
    """
    canonical_json(value)
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text to a file of the same folder, syncs it, and renames it into place.

    Raises:
        StoreError: If the disk is full or the folder not writable.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
    with writing_in(path.parent):
        try:
            with open(temporary, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut; a file's own sync keeps its bytes only."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Turns a full or broken disk and a folder that cannot be written to into words; other errors pass.

    Raises:
        StoreError: Naming the folder, what is wrong and, where space is short, how much there is.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            free_mib = shutil.disk_usage(nearest_folder(folder)).free / 2**20
            raise StoreError(
                f"cannot write in {folder}: {_FULL[error.errno]} ({free_mib:,.1f} MiB free). "
                "Free some space or name a store on another disk with --store, then run the same command again."
            ) from error
        if error.errno in _CLOSED:
            raise StoreError(
                f"cannot write in {folder}: it {_CLOSED[error.errno]}. Change that, or name another folder with --store."
            ) from error
        if error.errno in _BROKEN or error.errno == errno.EFBIG:
            what = _BROKEN.get(error.errno, _TOO_LARGE)
            raise StoreError(
                f"cannot write in {folder}: {what}. Mend that or name a store on another disk with --store, then run the same "
                "command again; what was whole before is still found."
            ) from error
        raise


def nearest_folder(path: Path) -> Path:
    """The path itself or, where it is not a folder yet, the closest one above it that is."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
