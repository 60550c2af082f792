"""A run on a store on object storage: held, with this machine's copy of it brought up to date before and sent after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunescope.store.merging.reading import is_held_by_a_run, kept_as_it_is
from tunescope.store.remote.lease import PACE, Pace
from tunescope.store.remote.live_mirror import LiveMirror, pull_live
from tunescope.store.remote.storage import RemoteStore, cache_folder
from tunescope.store.store import Store


@contextmanager
def working_copy(url: str, *, create: bool, pace: Pace = PACE) -> Iterator[tuple[Store, RemoteStore]]:
    """This machine's copy of the store at a URL, for one run; both are locked while the block runs.

    Args:
        url: Of the store.
        create: Make a store where there is none.
        pace: Of the lease.

    Raises:
        StoreError: If there is none (without `create`), another run holds it, or the storage cannot be used.
    """
    remote = RemoteStore.open(url, create=create)
    store = Store.open(cache_folder(url), create=True)
    with store.lock(), remote.lock(pace):
        remote.push_missing(store)
        remote.pull_all(store)
        try:
            with LiveMirror(remote, store):
                yield store, remote
        finally:
            for name in store.studies.names():
                remote.push_study(store, name)


def reading_copy(url: str) -> Store:
    """This machine's copy of the store at a URL, brought up to date, for commands that read.

    A copy that a run on this machine works in is taken as it is: it holds all that the storage does, and its study may be
    newer than the one there.

    Raises:
        StoreError: If there is none, or the storage cannot be used.
    """
    remote = RemoteStore.open(url, create=False)
    store = Store.open(cache_folder(url), create=True)
    if not is_held_by_a_run(store.layout):
        with kept_as_it_is(store.layout):
            remote.pull_all(store)
            pull_live(remote, store)
    return store
