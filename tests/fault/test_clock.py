"""Clocks that jump and files whose times are of another decade: nothing is judged whole, stale or newer by them."""

from __future__ import annotations

import datetime
import itertools
import json
import os
import sys
import time

import pytest

_LONG_AGO, _FAR_AHEAD = 3e8, 3e9
"""1979 and 2065, in seconds since 1970."""


@pytest.fixture
def jumping(monkeypatch):
    """A clock that is set to another time whenever anybody asks it; the monotonic one goes on as it does."""
    asked, now, now_ns = itertools.count(), time.time, time.time_ns

    def jump():
        return (0.0, 40.0, -40.0)[next(asked) % 3] * 365.25 * 86400.0

    class Alike(type):
        def __instancecheck__(cls, value):
            return isinstance(value, datetime.datetime)

    class Jumping(datetime.datetime, metaclass=Alike):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(now() + jump(), tz)

    monkeypatch.setattr(time, "time", lambda: now() + jump())
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(jump() * 1e9))
    # Not `datetime.datetime` itself: libraries in C rely on what it is.
    for name, module in list(sys.modules.items()):
        if name.startswith("tunescope.") and getattr(module, "datetime", None) is datetime.datetime:
            monkeypatch.setattr(module, "datetime", Jumping)


@pytest.mark.parametrize("moment", [_LONG_AGO, _FAR_AHEAD])
def test_times_of_files_say_nothing(faulty, moment):
    for path in (faulty.store, *faulty.store.rglob("*")):
        os.utime(path, (moment, moment))
    for path in (faulty.path, *faulty.folder.glob("*.csv"), *faulty.folder.glob("model/*")):
        os.utime(path, (2e9 - moment, 2e9 - moment))
    assert "0 jobs done, 21 were there" in faulty.goes_on()
    assert faulty.status().code == 0


def test_a_change_whose_time_was_set_back_is_found_in_the_same_process(faulty):
    faulty.rows()  # reads, and remembers the hashes
    metrics = faulty.artifact("evaluate", "same-full-seed1-evaluate") / "metrics.json"
    before = metrics.stat()
    content = metrics.read_bytes()
    metrics.write_bytes(content.replace(b'"num_examples": 12', b'"num_examples": 21'))
    os.utime(metrics, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert metrics.stat().st_mtime_ns == before.st_mtime_ns
    assert "metrics.json holds other bytes than were written" in faulty.refused()[0]


def test_a_run_under_a_clock_that_jumps_by_decades_has_the_same_results(fresh, jumping):
    fresh.goes_on()
    records = [json.loads(path.read_text()) for path in fresh.store.glob("artifacts/*/*/record.json")]
    years = {datetime.datetime.fromisoformat(record["started_at"]).year for record in records}
    assert len(years) > 1, "the clock did not jump"
    assert all(0.0 <= record["duration_s"] < 60.0 for record in records)
    assert "0 jobs done, 21 were there" in fresh.goes_on()
    assert fresh.status().code == 0


@pytest.mark.parametrize("moment", [_LONG_AGO, _FAR_AHEAD])
def test_a_lock_is_held_however_old_it_looks(faulty, start, moment):
    with faulty.locked() as holder:
        os.utime(faulty.store / "lock", (moment, moment))
        said = faulty.run()
    assert said.code == 2
    assert f"is in use by process {holder} on " in said.err
    faulty.goes_on()
