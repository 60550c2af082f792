"""A store that is read while nobody changes it, and of which nothing is changed: not even its lock file."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tunescope.errors import StoreError
from tunescope.store.layout import Layout

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
            said = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").strip()
            who = f": its lock file says {said}" if said else ""
            raise StoreError(
                f"the store {layout.root} is in use{who}. Wait until that has ended, or stop it, and try again."
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)
