"""`verify` as a function: whether a store still holds what was written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunescope.api.stored import DEFAULT_STORE
from tunescope.errors import StoreError
from tunescope.store import Store


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What reading a whole store came to."""

    num_whole: int
    """Artifacts whose every byte is what was written."""
    num_bytes: int
    """Of their files."""
    problems: tuple[str, ...]
    """The others, each with what is wrong and the `forget` after which a run makes it anew."""


def verify_store(store: Path = DEFAULT_STORE) -> Verified:
    """Reads every artifact of a store and compares it with the SHA-256 hashes in its record.

    A job compares what it reads, and a report what it shows; the weights of a finished study are read by nobody any more.

    Args:
        store: The store's folder. Nothing in it is changed.

    Raises:
        StoreError: If there is no store, or it cannot be read at all.
    """
    opened = Store.open(store, create=False)
    num_whole, num_bytes, problems = 0, 0, []
    for kind, id in opened.layout.artifact_keys():
        try:
            opened.verify(kind, id)
            num_bytes += sum(entry.num_bytes for entry in opened.record(kind, id).files.values())
            num_whole += 1
        except StoreError as error:
            problems.append(str(error))
    return Verified(num_whole=num_whole, num_bytes=num_bytes, problems=tuple(problems))
