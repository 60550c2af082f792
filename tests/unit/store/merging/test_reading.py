"""A store is read while no run changes it, and its lock file stays as it is."""

from __future__ import annotations

import pytest

from tunescope.errors import StoreError
from tunescope.store import Store
from tunescope.store.merging.reading import kept_as_it_is


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


def test_a_store_that_never_ran_has_no_lock_file_and_gets_none(store):
    with kept_as_it_is(store.layout):
        pass
    assert not store.layout.lock.exists()


def test_readers_share_it_and_a_run_is_kept_out(store):
    with store.lock():
        pass
    before = (store.layout.lock.read_bytes(), store.layout.lock.stat().st_mtime_ns)
    with kept_as_it_is(store.layout), kept_as_it_is(store.layout):
        assert (store.layout.lock.read_bytes(), store.layout.lock.stat().st_mtime_ns) == before
        store.layout.lock.write_text('{"pid": 1, "host": "elsewhere", "since": "now", "command": "tunescope"}')
        with pytest.raises(StoreError, match="is in use"), store.lock():
            pass
    with store.lock():
        pass


def test_who_holds_it_is_said(store):
    said = pytest.raises(StoreError, match=r"is in use by process \d+ on \S+ since ")
    with store.lock(), said, kept_as_it_is(store.layout):
        pass
