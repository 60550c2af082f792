"""Scores over seeds: the mean, whose interval it is, and what stands beside it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stored_study import StoredStudy
from tunescope.analysis.collect import collect
from tunescope.analysis.quality import collect_levels, collect_quality
from tunescope.stats.crossed import crossed_mean

TEXT = """
name: t
base_model: org/decoder
tasks: [{name: rte, references: [{metric: accuracy, value: 0.7, source: somebody}]}]
methods: {full: {}, lora: {}}
seeds: [1, 2]
expected:
  - {task: rte, method: full, metric: accuracy, low: 0.9, high: 1.0}
"""
YES, NO = "entailment", "not_entailment"
TARGETS = [YES, NO] * 4


def _answers(num_right):
    return [own if place < num_right else (NO if own == YES else YES) for place, own in enumerate(TARGETS)]


@pytest.fixture
def stored(tmp_path):
    return StoredStudy(tmp_path / "store", TEXT)


def _of(stored, method):
    found = collect_quality(stored.plan, stored.store, collect(stored.plan, stored.store))
    return next(one for one in found if one.method == method)


def test_the_interval_is_the_crossed_models_over_seeds_and_examples(stored):
    stored.run("rte-full-seed1", _answers(6), TARGETS)
    stored.run("rte-full-seed2", _answers(4), TARGETS)
    full = _of(stored, "full")
    values = np.array([[one == other for one, other in zip(_answers(n), TARGETS, strict=True)] for n in (6, 4)])
    expected = crossed_mean(values.astype(float)).estimate
    assert full.estimate.value == 5 / 8
    assert (full.estimate.ci_low, full.estimate.ci_high) == (max(expected.ci_low, 0.0), min(expected.ci_high, 1.0))
    assert "seeds x examples" in full.estimate.method
    assert (full.estimate.num_seeds, full.estimate.num_examples) == (2, 8)
    assert full.sd == pytest.approx(0.25 / 2**0.5)
    assert [seed.value for seed in full.seeds] == [0.75, 0.5]
    assert full.seeds[0].job == stored.jobs["rte-full-seed1-evaluate"].id
    assert full.seeds[0].train_job == stored.jobs["rte-full-seed1"].id
    assert full.is_primary
    assert full.higher_is_better


def test_an_interval_does_not_leave_the_scores_range(stored):
    stored.run("rte-full-seed1", _answers(7), TARGETS)
    estimate = _of(stored, "full").estimate
    assert estimate.ci_high == 1.0
    assert "cut at the end" in estimate.method
    assert "one seed: over examples only" in estimate.method


def test_what_is_expected_is_in_or_out_by_the_mean(stored):
    assert _of(stored, "full").expected.is_inside is None
    stored.run("rte-full-seed1", _answers(7), TARGETS)
    assert _of(stored, "full").expected.is_inside is False
    stored.run("rte-full-seed2", _answers(8), TARGETS)
    assert _of(stored, "full").expected.is_inside is True
    assert _of(stored, "lora").expected is None


def test_failed_and_missing_seeds_stay_in_view(stored):
    stored.run("rte-lora-seed1", _answers(6), TARGETS)
    stored.fail("rte-lora-seed2", "out of memory")
    lora = _of(stored, "lora")
    assert (lora.num_seeds, lora.num_planned, lora.num_failed) == (1, 2, 1)
    assert [(seed.value, seed.state) for seed in lora.seeds] == [(0.75, "done"), (None, "failed")]
    assert "out of memory" in lora.seeds[1].reason
    full = _of(stored, "full")
    assert full.estimate.value is None
    assert full.estimate.reason == "not run yet"


def test_seeds_with_the_same_weights_are_no_sample(stored):
    stored.run("rte-full-seed1", _answers(6), TARGETS, weights="same")
    stored.run("rte-full-seed2", _answers(6), TARGETS, weights="same")
    estimate = _of(stored, "full").estimate
    assert (estimate.value, estimate.ci_low) == (0.75, None)
    assert "identical weights" in estimate.reason


def test_seeds_on_other_examples_have_a_mean_and_no_interval(stored):
    stored.run("rte-full-seed1", _answers(6), TARGETS)
    stored.train("rte-full-seed2")
    stored.evaluate("rte-full-seed2-evaluate", TARGETS[:4], TARGETS[:4])
    estimate = _of(stored, "full").estimate
    assert (estimate.value, estimate.ci_low) == (0.875, None)
    assert "other examples" in estimate.reason


def test_levels_are_baselines_and_references_with_their_sources(stored):
    metrics = {"scores": {"accuracy": 0.5}, "undefined": {}, "num_examples": 8, "draws": {"1": {"accuracy": 0.375}}}
    stored.commit("rte-random", {}, {"metrics.json": json.dumps(metrics)})
    stored.commit("rte-reference", {}, {"metrics.json": json.dumps({"scores": {}})})
    levels = {one.name: one for one in collect_levels(collect(stored.plan, stored.store))}
    assert (levels["random"].value, levels["random"].seed, levels["random"].source) == (0.5, None, "expectation")
    assert (levels["reference"].value, levels["reference"].source) == (0.7, "somebody")
    assert (levels["majority"].value, levels["majority"].source) == (None, "not run yet")


def test_where_no_expectation_is_known_each_draw_is_there(stored):
    metrics = {"scores": {}, "undefined": {"accuracy": "no closed form"}, "num_examples": 8}
    stored.commit("rte-random", {}, {"metrics.json": json.dumps(metrics | {"draws": {"1": {"accuracy": 0.375}}})})
    levels = [one for one in collect_levels(collect(stored.plan, stored.store)) if one.name == "random"]
    assert [(one.seed, one.value, one.source) for one in levels] == [
        (None, None, "no closed form"),
        (1, 0.375, "one draw"),
    ]
