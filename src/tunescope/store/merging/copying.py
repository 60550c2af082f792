"""Files copied from one store to another: hashed on the way, on the disk when the call returns."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from tunescope.store.identity import content_id
from tunescope.store.record import RECORD_FILE, FileEntry, Record
from tunescope.store.whole import NotWholeError, check_sizes, plain_files, read_record

_BLOCK = 1 << 20


def copy_artifact(folder: Path, record: Record, target: Path) -> int:
    """Copies an artifact's files, then its record; every file is hashed as it is read, and synced.

    Args:
        folder: The artifact's.
        record: As read from it.
        target: A new folder.

    Returns:
        Bytes copied.

    Raises:
        NotWholeError: At the first thing that is not as the record says; what was copied until then is to be deleted.
        OSError: If the target cannot be written.
    """
    check_sizes(folder, record)
    if content_id(record.kind, record.config, record.inputs) != record.id:
        raise NotWholeError("its record was changed: kind, config and inputs do not give its id", record.label)
    unknown = sorted(set(plain_files(folder)) - set(record.files) - {RECORD_FILE})
    if unknown:
        raise NotWholeError(f"{unknown[0]} is there, and its record does not know it", record.label)
    num_bytes = 0
    for name, entry in record.files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if copy_file(folder / name, target / name) != entry:
            raise NotWholeError(f"{name} holds other bytes than were written", record.label)
        num_bytes += entry.num_bytes
    target.mkdir(parents=True, exist_ok=True)
    num_bytes += copy_file(folder / RECORD_FILE, target / RECORD_FILE).num_bytes
    if read_record(target) != record:
        raise NotWholeError(f"{RECORD_FILE} changed while it was read", record.label)
    return num_bytes


def copy_file(source: Path, target: Path) -> FileEntry:
    """Copies a file to a new name with its time of change, and says what was read.

    Raises:
        NotWholeError: If it cannot be read.
        OSError: If the target cannot be written, or is there.
    """
    digest = hashlib.sha256()
    num_bytes = 0
    with open(target, "xb") as written:
        for block in _blocks(source):
            digest.update(block)
            num_bytes += len(block)
            written.write(block)
        written.flush()
        os.fsync(written.fileno())
    found = source.stat()
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    return FileEntry(sha256=digest.hexdigest(), num_bytes=num_bytes)


def _blocks(source: Path) -> Iterator[bytes]:
    try:
        with open(source, "rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise NotWholeError(f"{source.name} cannot be read: {error.strerror}") from error
