"""Learning curves: losses in bins, selection scores in the score's own direction."""

from __future__ import annotations

import pytest

from stored_study import TEXT, StoredStudy
from tunescope.analysis.curve_means import curve_means
from tunescope.analysis.curves import binned, collect_curves

LOG = [
    {"event": "step", "step": 1, "loss": 3.0},
    {"event": "step", "step": 2, "loss": 1.0},
    {"event": "selection", "step": 2, "score": None, "note": "0/0", "metric": "accuracy", "num_examples": 4},
    {"event": "resumed", "step": 2},
    {"event": "step", "step": 2, "loss": 2.0},
    {"event": "selection", "step": 4, "score": 0.5, "note": "", "standard_error": 0.1},
]


def test_a_finished_run_has_a_curve_and_what_it_was_resumed_from_counts_once(tmp_path):
    stored = StoredStudy(tmp_path / "store")
    stored.train("rte-lora-seed2", log=LOG)
    (curve,) = collect_curves(stored.plan, stored.store)
    assert (curve.method, curve.seed, curve.metric) == ("lora", 2, "accuracy")
    assert [(point.step, point.loss) for point in curve.loss] == [(1.0, 3.0), (2.0, 2.0)]
    assert not curve.is_binned
    assert [(point.step, point.score, point.standard_error) for point in curve.selection] == [
        (2, None, None),
        (4, 0.5, 0.1),
    ]
    assert curve.selection[0].note == "0/0"
    assert (curve.num_steps, curve.kept_step, curve.stopped_early) == (30, 20, False)
    assert curve.job == stored.jobs["rte-lora-seed2"].id


def test_an_error_is_shown_as_it_is_and_not_turned(tmp_path):
    task = "{name: mine, kind: regression, metrics: [mse], dataset: {hub: a/b}, text: a, score: b}"
    stored = StoredStudy(tmp_path / "store", TEXT.replace("[rte]", f"[{task}]"))
    stored.train("mine-full-seed1", log=[{"event": "selection", "step": 4, "score": -0.5, "note": ""}])
    (curve,) = collect_curves(stored.plan, stored.store)
    assert curve.selection[0].score == 0.5


def test_a_run_that_failed_or_is_damaged_has_no_curve(tmp_path):
    stored = StoredStudy(tmp_path / "store")
    stored.fail("rte-full-seed1")
    stored.train("rte-full-seed2", log=LOG)
    job = stored.jobs["rte-full-seed2"]
    (stored.store.artifact(job.kind, job.id) / "log.jsonl").write_text("other bytes")
    assert collect_curves(stored.plan, stored.store) == []


def test_bins_hold_every_step_once_and_keep_the_mean():
    steps = [(step, float(step)) for step in range(1, 1002)]
    points = binned(steps, most=200)
    assert len(points) == 167
    assert [point.first_step for point in points[1:]] == [point.last_step + 1 for point in points[:-1]]
    assert (points[0].first_step, points[0].last_step, points[0].step, points[0].loss) == (1, 6, 3.5, 3.5)
    weights = [point.last_step - point.first_step + 1 for point in points]
    assert sum(weights) == 1001
    mean = sum(point.loss * weight for point, weight in zip(points, weights, strict=True)) / 1001
    assert mean == pytest.approx(501.0)


@pytest.mark.parametrize("num", [0, 1, 199, 200, 201, 400])
def test_bins_are_as_many_as_asked_for_at_most(num):
    points = binned([(step, 0.0) for step in range(1, num + 1)], most=200)
    assert len(points) <= 200
    assert sum(point.last_step - point.first_step + 1 for point in points) == num


def test_seeds_that_stopped_early_share_the_bins_of_the_longest(tmp_path):
    """Bins of each run's own width have no middles in common (1.5, 3.5, ... and 1, 2, ...): the mean would be of nothing."""
    stored = StoredStudy(tmp_path / "store")
    for seed, num_steps in ((1, 250), (2, 151)):
        log = [{"event": "step", "step": step, "loss": float(seed)} for step in range(1, num_steps + 1)]
        stored.train(f"rte-full-seed{seed}", log=log)
    stored.train("rte-lora-seed1", log=LOG)
    curves = collect_curves(stored.plan, stored.store)
    assert [len(curve.loss) for curve in curves] == [125, 76, 2]
    assert [curve.is_binned for curve in curves] == [True, True, False]
    full, _ = curve_means(curves)
    assert len(full.loss) == 75
    assert (full.loss[0], full.loss[-1]) == ((1.5, 1.5), (149.5, 1.5))


def test_no_bins_at_all_is_refused():
    with pytest.raises(ValueError, match="most must be 1 or more, got 0"):
        binned([(1, 0.0)], most=0)
