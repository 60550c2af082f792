"""Each run is told once: what has not changed is left alone, what went on is added to, what was cut off is told anew."""

from __future__ import annotations

import pytest

from tunescope.trackers.export import Export
from tunescope.trackers.ledger import Ledger, alone
from tunescope.trackers.subjects import subjects_of
from tunescope.trackers.tracker import TrackerError


class Remembers:
    """A tracker that notes what it is told, and may fail at a run."""

    target = "here"
    shows_unfinished = True

    def __init__(self, fails_at=None):
        self.calls, self.runs, self.fails_at = [], {}, fails_at

    def has(self, run):
        return run.id in self.runs

    def tell(self, run, num_there):
        if run.name == self.fails_at:
            raise ConnectionError("the server is gone")
        self.calls.append((run.name, num_there, len(run.points)))
        kept = self.runs.get(run.id, [])[:num_there]
        self.runs[run.id] = kept + [point.step for point in run.points[num_there:]]

    def close(self):
        pass


def _export(study, tracker):
    folder = study.store.path / "exports" / "wandb"
    return Export(tracker, subjects_of(study.plan), study.store, study="t", folder=folder)


def _what(export, *, unfinished=True):
    return {telling.name: telling.what for telling in export.tell_all(unfinished=unfinished)}


def test_a_second_export_tells_nothing(study):
    tracker = Remembers()
    first = _what(_export(study, tracker))
    assert first["rte-full-seed1"] == first["rte-majority"] == "told"
    assert first["rte-lora-seed1"] == "not begun"
    tracker.calls.clear()
    second = _what(_export(study, tracker))
    assert set(second.values()) == {"unchanged", "not begun"}
    assert tracker.calls == []


def test_a_run_that_goes_on_is_added_to(study, log_entries):
    tracker = Remembers()
    study.under_way("rte-lora-seed1", log_entries(6))
    _what(_export(study, tracker))
    study.under_way("rte-lora-seed1", log_entries(3, first=7))
    _what(_export(study, tracker))
    assert [call for call in tracker.calls if call[0] == "rte-lora-seed1"] == [
        ("rte-lora-seed1", 0, 5),
        ("rte-lora-seed1", 5, 8),
    ]
    assert tracker.runs[study.id("rte-lora-seed1")] == list(range(1, 9))


def test_a_run_that_was_resumed_otherwise_is_told_anew(study, log_entries):
    tracker = Remembers()
    study.under_way("rte-lora-seed1", log_entries(8))
    _what(_export(study, tracker))
    study.under_way("rte-lora-seed1", log_entries(6, first=5, seed=2))
    _what(_export(study, tracker))
    assert tracker.calls[-1] == ("rte-lora-seed1", 0, 9)


def test_a_telling_that_was_cut_off_is_told_anew(study):
    tracker = Remembers(fails_at="rte-full-seed2")
    with pytest.raises(ConnectionError):
        _what(_export(study, tracker))
    tracker.runs[study.id("rte-full-seed2")] = [1, 2, 3]  # half of it had arrived
    tracker.fails_at = None
    _what(_export(study, tracker))
    assert ("rte-full-seed2", 0, 12) in tracker.calls
    assert [name for name, _, _ in tracker.calls].count("rte-full-seed1") == 1


def test_what_the_tracker_lost_is_told_anew(study):
    tracker = Remembers()
    _what(_export(study, tracker))
    tracker.runs.clear()
    tracker.calls.clear()
    _what(_export(study, tracker))
    assert ("rte-full-seed1", 0, 12) in tracker.calls


def test_new_scores_are_told_without_the_points_again(study):
    tracker = Remembers()
    _what(_export(study, tracker))
    study.scored("rte-full-seed2-evaluate", 1.0)
    tracker.calls.clear()
    _what(_export(study, tracker))
    assert tracker.calls == [("rte-full-seed2", 12, 12)]


def test_runs_under_way_can_be_left_for_later(study, log_entries):
    tracker = Remembers()
    study.under_way("rte-lora-seed1", log_entries(6))
    export = _export(study, tracker)
    assert "rte-lora-seed1" not in _what(export, unfinished=False)
    assert _what(export)["rte-lora-seed1"] == "told"


def test_a_damaged_artifact_hides_no_other(study):
    id = study.id("rte-full-seed1")
    (study.store.path / "artifacts" / "train" / id / "log.jsonl").write_text("")
    told = {one.name: one for one in _export(study, Remembers()).tell_all(unfinished=True)}
    assert told["rte-full-seed1"].what == "not whole"
    assert "tunescope forget" in told["rte-full-seed1"].reason
    assert told["rte-full-seed2"].what == "told"


def test_the_ledger_keeps_a_hash_and_a_number(study):
    tracker = Remembers()
    _what(_export(study, tracker))
    run = next(iter(study.store.path.glob("exports/wandb/told/*/" + study.id("rte-full-seed1") + ".json")))
    assert '"num_points": 12' in run.read_text()
    run.write_text('{"sha256": "ab')  # a power cut
    assert Ledger(study.store.path / "exports" / "wandb", "here").told(_run(study)) is None


def _run(study):
    from tunescope.trackers.told import told_run

    subject = next(one for one in subjects_of(study.plan) if one.label == "rte-full-seed1")
    return told_run(subject, study.store, "t")


def test_two_exporters_of_one_tracker_take_turns(tmp_path):
    folder = tmp_path / "exports" / "mlflow"
    with (
        alone(folder, patience_s=0.0),
        pytest.raises(TrackerError, match=r"in use by process .*run the same command again"),
        alone(folder, patience_s=0.2),
    ):
        raise AssertionError("both were let in")
    with alone(folder, patience_s=0.0):
        assert (folder / "lock").exists()
