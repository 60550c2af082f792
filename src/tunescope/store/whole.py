"""Whether an artifact's folder is what its record says."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from tunescope.store.atomic import sync_folder
from tunescope.store.identity import content_id
from tunescope.store.record import RECORD_FILE, FileEntry, Record

_BLOCK = 1 << 20

_hashes: dict[tuple[str, int, int, int, int], str] = {}
"""SHA-256 by path, inode, size, time of writing and time of change: `check_hashes` reads a file once per process.

The time of writing can be set by anyone (`touch`, `rsync --times`), that of change by the kernel alone.
"""


class NotWholeError(Exception):
    """What is wrong with an artifact's folder, in a few words; the store says where and what to do."""

    def __init__(self, what: str, label: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.label = label


def read_record(folder: Path) -> Record:
    """The record of an artifact's folder.

    Raises:
        NotWholeError: If it is missing, torn or not a record.
    """
    try:
        text = (folder / RECORD_FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise NotWholeError(f"{RECORD_FILE} is missing") from None
    except UnicodeDecodeError:
        raise NotWholeError(f"{RECORD_FILE} is torn (not UTF-8 text)") from None
    try:
        return _parsed(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NotWholeError(f"{RECORD_FILE} is torn ({place + ': ' if place else ''}{first['msg']})") from None


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Record:
    """A record from its text. A report asks for each a dozen times, and reading its bytes anew is the cheap part."""
    return Record.model_validate_json(text)


def check_sizes(folder: Path, record: Record) -> None:
    """The cheap check: every file is there and has its size.

    Raises:
        NotWholeError: At the first file that is missing, no plain file, or of another size.
    """
    for name, entry in record.files.items():
        try:
            found = os.lstat(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            raise NotWholeError(f"{name} is missing", record.label) from None
        if not stat.S_ISREG(found.st_mode):
            raise NotWholeError(f"{name} is not a plain file", record.label)
        if found.st_size != entry.num_bytes:
            raise NotWholeError(f"{name} has {found.st_size:,} bytes instead of {entry.num_bytes:,}", record.label)


def check_bytes(folder: Path, record: Record) -> None:
    """The full check: sizes, every file's SHA-256, no file beside them, and an id that fits what was asked.

    Raises:
        NotWholeError: At the first thing that differs.
    """
    check_sizes(folder, record)
    for name, entry in record.files.items():
        if file_entry(folder / name, sync=False).sha256 != entry.sha256:
            raise NotWholeError(f"{name} holds other bytes than were written", record.label)
    unknown = sorted(set(plain_files(folder)) - set(record.files) - {RECORD_FILE})
    if unknown:
        raise NotWholeError(f"{unknown[0]} is there, and its record does not know it", record.label)
    if content_id(record.kind, record.config, record.inputs) != record.id:
        raise NotWholeError("its record was changed: kind, config and inputs do not give its id", record.label)


def check_hashes(folder: Path, record: Record, names: Iterable[str] | None = None) -> None:
    """Sizes of all files, and the SHA-256 of those named, or of all; a file that stays as it is is read once per process.

    Raises:
        NotWholeError: At the first file that differs, or that the record does not know.
    """
    check_sizes(folder, record)
    for name in record.files if names is None else names:
        if name not in record.files:
            raise NotWholeError(f"{name} is missing", record.label)
        path = folder / name
        state = path.stat()
        key = (str(path.resolve()), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        if key not in _hashes:
            _hashes[key] = file_entry(path, sync=False).sha256
        if _hashes[key] != record.files[name].sha256:
            raise NotWholeError(f"{name} holds other bytes than were written", record.label)


def plain_files(folder: Path) -> list[str]:
    """Paths of all files under a folder, relative to it, sorted.

    Raises:
        NotWholeError: At a link or anything else that is neither file nor folder: an artifact holds its own bytes.
    """
    names = []
    for parent, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            path = Path(parent, entry)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                names.append(path.relative_to(folder).as_posix())
            elif not stat.S_ISDIR(mode):
                raise NotWholeError(f"{path.relative_to(folder).as_posix()} is a link or device, not a plain file")
    return sorted(names)


def file_entry(path: Path, *, sync: bool) -> FileEntry:
    """SHA-256 and size of a file, read in blocks; `sync` also makes its bytes survive a power cut."""
    digest = hashlib.sha256()
    num_bytes = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            num_bytes += len(block)
        if sync:
            os.fsync(file.fileno())
    return FileEntry(sha256=digest.hexdigest(), num_bytes=num_bytes)


def sync_folders(folder: Path) -> None:
    """Syncs a folder and all folders in it, innermost first."""
    for parent, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(parent))
