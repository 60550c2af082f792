"""What is kept, found again and trusted: artifacts by what they are, each with its record."""

from __future__ import annotations

from tunescope.store.identity import canonical_json, content_id
from tunescope.store.record import Failure, FileEntry, Machine, Record, RecordFields
from tunescope.store.store import Store, Work

__all__ = [
    "Failure",
    "FileEntry",
    "Machine",
    "Record",
    "RecordFields",
    "Store",
    "Work",
    "canonical_json",
    "content_id",
]
