"""One run at a time on object storage; no clock but the waiting one's own is asked."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tunescope.errors import StoreError
from tunescope.store.remote.lease import LEASE_FILE, Pace, leased
from tunescope.store.remote.objects import Objects

FAST = Pace(renew_s=0.05, stale_s=0.5, settle_s=0.05)


@pytest.fixture
def objects(tmp_path):
    return Objects(f"file://{tmp_path}/there")


def _told(objects):
    content = objects.read(LEASE_FILE)
    return None if content is None else json.loads(content)


def test_the_lease_says_who_holds_it_is_renewed_and_goes_with_its_holder(objects):
    with leased(objects, pace=FAST) as lease:
        first = _told(objects)
        time.sleep(0.3)
        assert _told(objects)["count"] > first["count"]
        assert _told(objects)["holder"] == first["holder"]
        lease.check()
    assert _told(objects) is None


def test_a_renewal_that_is_under_way_when_the_holder_ends_leaves_no_lease(objects, monkeypatch):
    write, renewing = objects.write, threading.Event()

    def slow(name, content):
        if json.loads(content)["count"] > 1:
            renewing.set()
            time.sleep(0.3)
        write(name, content)

    monkeypatch.setattr(objects, "write", slow)
    with leased(objects, pace=FAST):
        assert renewing.wait(5.0)
    time.sleep(0.5)
    assert _told(objects) is None


def test_a_second_run_is_refused_and_told_who_is_there(objects):
    with (
        leased(objects, pace=FAST),
        pytest.raises(StoreError, match=r"there is in use by process \d+ on \S+ since 20\d\d-.*a store serves one run"),
        leased(objects, pace=FAST),
    ):
        raise AssertionError("leased twice")


def test_a_dead_runs_lease_is_taken_over_after_it_was_seen_unchanged_for_long_enough(objects):
    objects.write(LEASE_FILE, json.dumps({"holder": "dead", "count": 7, "since": "2999-01-01T00:00:00"}).encode())
    clock = {"now": 0.0}

    def sleep(seconds):
        clock["now"] += seconds

    with leased(objects, pace=Pace(), clock=lambda: clock["now"], sleep=sleep):
        assert _told(objects)["holder"] != "dead"
    assert 45.0 <= clock["now"] < 60.0  # whatever date it bears


def test_a_torn_lease_is_a_dead_ones(objects):
    objects.write(LEASE_FILE, b'{"holder": "de')
    with leased(objects, pace=FAST):
        assert _told(objects)["count"] >= 1


def test_a_holder_that_was_taken_for_dead_learns_of_it_and_leaves_the_other_alone(objects):
    with leased(objects, pace=FAST) as lease:
        objects.write(LEASE_FILE, json.dumps({"holder": "other", "count": 1}).encode())
        time.sleep(0.5)
        with pytest.raises(StoreError, match="another run took it over"):
            lease.check()
    assert _told(objects)["holder"] == "other"
