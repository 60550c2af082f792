"""Means by layer: over seeds where there are several, with the jackknife's interval where there is one run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_drift import layer_row
from made_findings import TEXT, made_findings, plan_of
from tunescope.analysis.layer_means import DISTANCE, layer_means, pair_means


def _cells():
    return [
        cell for cell in plan_of().drift if cell.what == "run" and (cell.task.name, cell.method) == ("mrpc", "full")
    ]


def test_drift_is_one_minus_the_mean_similarity():
    rows = [
        layer_row(cell, "tuned", "block_01", "debiased_linear_cka", value)
        for cell, value in zip(_cells(), (0.9, 0.8, None), strict=True)
    ]
    drift, similarity = layer_means(rows)
    assert (drift.measure, similarity.measure) == (DISTANCE, "debiased_linear_cka")
    assert (drift.estimate.value, similarity.estimate.value) == pytest.approx((0.15, 0.85))
    assert [(seed, value) for seed, value, _ in drift.by_seed] == [(1, pytest.approx(0.1)), (2, pytest.approx(0.2))]
    assert drift.num_runs == 3
    assert drift.estimate.method == "t over seeds"


def test_one_run_keeps_its_own_interval_turned_round():
    (cell, *_) = _cells()
    drift = layer_means([layer_row(cell, "tuned", "block_01", "debiased_linear_cka", 0.9)])[0]
    assert (drift.estimate.ci_low, drift.estimate.ci_high) == pytest.approx((0.08, 0.12))
    assert drift.estimate.method == "jackknife over examples"
    assert (drift.estimate.num_seeds, drift.estimate.num_examples) == (1, 400)


def test_poolings_controls_and_steps_are_kept_apart():
    (cell, *_) = _cells()
    row = layer_row(cell, "tuned", "block_01", "cosine", 0.9)
    rows = [row, replace(row, pooling="mean"), replace(row, compared="random_update"), replace(row, step=3)]
    assert [(one.pooling, one.compared) for one in layer_means(rows)] == [
        ("last_token", "tuned"),
        ("mean", "tuned"),
        ("last_token", "random_update"),
    ]


def test_pairs_of_layers_are_apart_from_single_ones():
    findings = made_findings(plan_of(TEXT))
    pairs = pair_means(findings.layers)
    assert len(pairs) == 2 * 2 * 16
    assert {one.estimate.value for one in pairs} == {1.0, 0.25}
    assert all(one.measure != "layer_pairs" for one in layer_means(findings.layers))
