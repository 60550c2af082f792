"""Means over seeds of what runs retained: losses on plain text, probes of other tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_drift import probed, retained
from made_findings import plan_of
from tunescope.analysis.retention_means import probe_means, retention_means

RUNS = [run for run in plan_of().runs if (run.task.name, run.method) == ("mrpc", "full")]


def test_losses_and_their_increase():
    rows = [retained(run, "j", 2.0, 2.0 + 0.1 * run.seed) for run in RUNS]
    (mean,) = retention_means(rows)
    assert (mean.base_loss, mean.loss.value, mean.loss_increase.value) == pytest.approx((2.0, 2.2, 0.2))
    assert mean.loss_increase.ci_low == pytest.approx(mean.loss.ci_low - 2.0)
    assert [seed for seed, _, _ in mean.by_seed] == [1, 2, 3]
    assert mean.reason == ""


def test_a_run_that_is_missing_leaves_its_reason():
    rows = [retained(run, "j", 2.0, 2.1) for run in RUNS]
    rows[0] = replace(
        rows[0], base_loss=None, tuned_loss=None, tuned_perplexity=None, kl=None, state="missing", reason="waits"
    )
    (mean,) = retention_means(rows)
    assert (len(mean.by_seed), mean.num_planned, mean.reason) == (2, 3, "waits")
    assert mean.loss.num_seeds == 2


def test_probes():
    rows = [probed(run, "j", None if run.seed == 1 else 0.5 + 0.1 * run.seed) for run in RUNS]
    (mean,) = probe_means(rows)
    assert mean.accuracy.value == pytest.approx(0.75)
    assert (mean.base_accuracy, mean.majority_accuracy, mean.num_examples) == (0.75, 0.5, 50)
    assert mean.reason == "not run yet"
