"""A store that is read while nobody changes it, and of which nothing is changed: not even its lock file."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tunescope.errors import StoreError
from tunescope.store.layout import Layout
from tunescope.store.lock import held_by_another

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)


@contextmanager
def kept_as_it_is(layout: Layout) -> Iterator[None]:
    """Keeps runs out of a store while the block runs; any number of readers may.

    Where the store has no lock file nothing has run on it, and where its file system has no locks nothing can.

    Raises:
        StoreError: If a run holds the store.
    """
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(held_by_another(layout.lock)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


def is_held_by_a_run(layout: Layout) -> bool:
    """Whether a run holds the store at this moment."""
    try:
        with kept_as_it_is(layout):
            return False
    except StoreError:
        return True
