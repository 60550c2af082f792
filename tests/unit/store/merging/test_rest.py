"""Two logs of one job are one log, however often they meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunescope.store import Store
from tunescope.store.merging.merge import merge_stores
from tunescope.store.merging.rest import joined

A, B = "2026-01-01T00:00:00Z a\n", "2026-01-02T00:00:00Z b\n"


@pytest.mark.parametrize(
    "one, other, both",
    [
        (A, B, A + B),
        (B, A, A + B),
        (A, "", A),
        ("", A, A),
        (A, A, A),
        (A, A + B, A + B),
        (A + B, B, A + B),
        (A.rstrip("\n"), B, A + B),
    ],
)
def test_what_begins_earlier_comes_first_and_nothing_twice(one, other, both):
    assert joined(one, other) == both


LOGS = st.lists(st.sampled_from([A, B, "2026-01-03T00:00:00Z c\n"]), max_size=3).map("".join)


@given(LOGS, LOGS)
def test_joining_again_changes_nothing(one, other):
    both = joined(one, other)
    assert joined(both, one) == both
    assert joined(both, other) == both
    assert all(line in both for line in (one + other).splitlines())


def test_logs_are_joined_once(tmp_path):
    stores = [Store.open(tmp_path / name, create=True) for name in "abc"]
    name = f"fake-{'0' * 16}.log"
    texts = ("2026-01-02T00:00:00Z later\n", "2026-01-01T00:00:00Z earlier", "")
    for store, text in zip(stores, texts, strict=True):
        (store.path / "logs").mkdir()
        (store.path / "logs" / name).write_text(text)
        (store.path / "logs" / "notes.log").write_text("not a job's")
    log = tmp_path / "all" / "logs" / name
    assert merge_stores([store.path for store in stores], tmp_path / "all").num_logs == 1
    joined = "2026-01-01T00:00:00Z earlier\n2026-01-02T00:00:00Z later\n"
    assert log.read_text() == joined
    assert not (log.parent / "notes.log").exists()
    assert merge_stores([store.path for store in stores], tmp_path / "all").num_logs == 0
    (stores[0].path / "logs" / name).write_text(joined + "2026-01-03T00:00:00Z more\n")
    merge_stores([store.path for store in stores], tmp_path / "all")
    assert log.read_text() == joined + "2026-01-03T00:00:00Z more\n"
