"""What another machine has just written to a shared folder, and this one may see a few seconds later (NFS)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tunescope.errors import StoreError
from tunescope.store.store import Store

PATIENCE_S = 15.0
"""Longer than NFS keeps what it last saw of a folder or a file: `acdirmax` is 60 s at most by default, but a folder that is
listed anew is asked of the server again, and that is done before each look."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0

Seen = TypeVar("Seen")


def appears(
    look: Callable[[], Seen | None],
    folder: Path,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Seen | None:
    """Looks until there is something to see, or patience ends; the last look's error is raised.

    Args:
        look: Returns what it sees, or None; a `StoreError` (half of it is visible) counts as nothing for as long as there is
            patience left.
        folder: Where it should appear; listed before each look but the first, because a client that keeps a list of names
            then asks the server for a new one.
        patience_s: Seconds slept in all before it is said to be absent. 0: one look.
        sleep: Takes seconds; passed in, so that a test need not wait.

    Raises:
        StoreError: What `look` raised last, where patience has ended.
    """
    pause_s, left_s = _FIRST_PAUSE_S, patience_s
    while True:
        is_last = left_s <= 0.0
        try:
            seen = look()
        except StoreError:
            if is_last:
                raise
        else:
            if seen is not None or is_last:
                return seen
        nap_s = min(pause_s, left_s)
        sleep(nap_s)
        left_s -= nap_s
        pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
        _list_anew(folder)


def artifact_that_appears(
    store: Store,
    kind: str,
    id: str,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Path | None:
    """`Store.artifact`, of an artifact that is known to be made: None only after `patience_s` seconds without it.

    Raises:
        StoreError: If it is there and does not become whole within that time.
    """
    folder = store.path / "artifacts" / kind
    return appears(lambda: store.artifact(kind, id), folder, patience_s=patience_s, sleep=sleep)


def _list_anew(folder: Path) -> None:
    for one in (folder.parent, folder):
        if one.is_dir():
            os.listdir(one)
