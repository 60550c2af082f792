"""Drift's means by method and control, and its growth through training."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_drift import layer_row
from made_findings import made_findings, plan_of
from tunescope.analysis.drift_means import drift_growth, drift_means


def test_a_mean_for_every_method_and_control():
    findings = made_findings(plan_of())
    means = {(one.task, one.method, one.compared): one for one in drift_means(findings.drift)}
    tuned = means["mrpc", "full", "tuned"]
    assert tuned.estimate.value == pytest.approx(0.31)
    assert tuned.estimate.ci_low is not None
    assert [seed for seed, _, _ in tuned.by_seed] == [1, 2, 3]
    assert means["mrpc", None, "shuffled"].estimate.value == 0.99
    seeds = means["rte", "lora", "seeds"].estimate
    assert (seeds.value, seeds.ci_low, seeds.reason) == (0.02, None, "pairs of seeds share runs")


def test_a_run_without_drift_is_counted_and_its_reason_kept():
    findings = made_findings(plan_of())
    first, *rest = [one for one in findings.drift if one.compared == "tuned" and one.task == "rte"]
    lost = replace(first, drift=None, state="failed", reason="out of memory")
    mean = drift_means([lost, *rest])[0]
    assert (len(mean.by_seed), mean.num_planned, mean.reason) == (2, 3, "out of memory")


def test_growth_is_the_mean_over_blocks_at_steps_that_every_seed_has():
    cells = [
        cell for cell in plan_of().drift if cell.what == "run" and (cell.task.name, cell.method) == ("mrpc", "full")
    ]
    rows = [
        layer_row(cell, "tuned", state, "debiased_linear_cka", value, step=step)
        for cell in cells
        for step in (5, 10, 15)
        for state, value in (("embeddings", 0.0), ("block_01", 0.9), ("block_02", 0.7))
        if (cell.seeds[0], step) != (3, 15)
    ]
    (found,) = drift_growth(rows)
    assert [(point.step, point.estimate.value) for point in found.points] == [
        (5, pytest.approx(0.2)),
        (10, pytest.approx(0.2)),
    ]
    undefined = [replace(row, value=None) if (row.state, row.seed) == ("block_02", 1) else row for row in rows]
    (found,) = drift_growth(undefined)
    assert [seed for seed, _ in found.points[0].by_seed] == [2, 3]
