"""`gc` as a function: what of a store nothing needs any more."""

from __future__ import annotations

from pathlib import Path

from tunescope.api.stored import DEFAULT_STORE
from tunescope.store import Store, garbage
from tunescope.store.garbage import Garbage


def collect_garbage(store: Path = DEFAULT_STORE, *, delete: bool = False, unwanted: bool = False) -> Garbage:
    """Finds what a store needs no longer, and deletes it if asked to; what a study of it wants is never deleted.

    Args:
        store: The store's folder.
        delete: Delete it.
        unwanted: Count artifacts that no study of the store wants among it.

    Raises:
        StoreError: If there is no store or it cannot be read; with `delete`, if a run holds it.
    """
    return garbage.collect_garbage(Store.open(store, create=False), delete=delete, unwanted=unwanted)
