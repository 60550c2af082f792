"""What run commands took beside their predictions, how busy their workers were, and shards as one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stored_study import StoredStudy
from tunescope.analysis.makespan import RunHistory, collect_history
from tunescope.store.history import RunLine, append_run
from tunescope.store.layout import Layout

START = datetime(2026, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def stored(tmp_path):
    found = StoredStudy(tmp_path / "store")
    found.store.studies.save("t", "name: t\n", [], {})
    return found


def _append(stored, hours=0, **changed):
    given = {
        "started_at": START + timedelta(hours=hours),
        "ended_at": START + timedelta(hours=hours + 1),
        "duration_s": 100.0,
        "executor": "local",
        "num_workers": 2,
        "shard": None,
        "predicted_makespan_s": 80.0,
        "job_seconds": 150.0,
        "done": 3,
        "reused": 0,
        "failed": 0,
        "blocked": 0,
        "left": 0,
        "retried": 0,
        "interrupted": False,
        "host": "node-a",
        "tunescope": "0.1.0",
    }
    append_run(Layout(root=stored.store.path).runs("t"), RunLine(**(given | changed)))


def test_a_store_without_a_history(stored):
    assert collect_history(stored.plan, stored.store) == RunHistory()


def test_predicted_and_actual(stored):
    _append(stored)
    (one,) = collect_history(stored.plan, stored.store).commands
    assert (one.predicted_s, one.makespan_s, one.ratio, one.ending) == (80.0, 100.0, 1.25, "whole")
    assert (one.job_seconds, one.busy_share) == (150.0, 0.75)


@pytest.mark.parametrize(
    "changed, ending",
    [
        ({"failed": 1}, "failures"),
        ({"blocked": 1}, "failures"),
        ({"interrupted": True, "left": 1}, "interrupted"),
        ({"interrupted": True, "killed": True, "left": 1}, "killed"),
    ],
)
def test_what_did_not_do_all_is_not_held_against_its_prediction(stored, changed, ending):
    _append(stored, **changed)
    (one,) = collect_history(stored.plan, stored.store).commands
    assert (one.ending, one.ratio, one.predicted_s) == (ending, None, 80.0)


def test_no_prediction_no_ratio(stored):
    _append(stored, predicted_makespan_s=None)
    assert collect_history(stored.plan, stored.store).commands[0].ratio is None


def test_commands_that_found_nothing_to_do_are_left_out_and_the_rest_in_order(stored):
    _append(stored, hours=5)
    _append(stored, hours=9, done=0, reused=3)
    _append(stored, hours=2)
    found = collect_history(stored.plan, stored.store).commands
    assert [one.started_at.hour for one in found] == [5, 8]


def test_shards_take_as_long_as_the_longest_of_them(stored):
    _append(stored, 0, shard="1/3", duration_s=50.0, predicted_makespan_s=40.0)
    _append(stored, 1, shard="1/3", duration_s=70.0, predicted_makespan_s=10.0)
    _append(stored, 0, shard="2/3", duration_s=90.0, predicted_makespan_s=60.0)
    (shards,) = collect_history(stored.plan, stored.store).shards
    assert (shards.num_shards, shards.num_seen) == (3, 2)
    assert (shards.makespan_s, shards.predicted_s, shards.job_seconds) == (120.0, 60.0, 450.0)


def test_shards_without_a_prediction(stored):
    _append(stored, shard="1/2")
    _append(stored, shard="2/2", predicted_makespan_s=None)
    (shards,) = collect_history(stored.plan, stored.store).shards
    assert (shards.num_seen, shards.predicted_s) == (2, None)


def test_torn_lines_are_counted(stored):
    _append(stored)
    path = Layout(root=stored.store.path).runs("t")
    path.write_bytes(path.read_bytes()[:-9])
    found = collect_history(stored.plan, stored.store)
    assert (found.commands, found.num_torn) == ((), 1)
