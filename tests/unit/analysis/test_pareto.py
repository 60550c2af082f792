"""Who is not beaten: no other method has a score at least as good at a price at most as high, one of both better."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import TEXT, made_findings, plan_of, score_of_run
from tunescope.analysis.pareto import trade_offs

THREE = TEXT.replace("lora: {}", "lora: {}, head_only: {}")
SCORES = {"full": 0.9, "lora": 0.8, "head_only": 0.8}


def _found(findings, price):
    offs = trade_offs(findings.quality, findings.rows, findings.drift, findings.costs)
    return next(one for one in offs if (one.task, one.price) == ("mrpc", price))


def _optimal(findings, price):
    return [one.method for one in _found(findings, price).methods if one.is_optimal]


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of(THREE), lambda run, metric: SCORES[run.method])


def test_equals_do_not_beat_each_other(findings):
    assert _optimal(findings, "trainable_parameters") == ["full", "lora", "head_only"]


def test_a_dearer_one_that_scores_no_better_is_beaten(findings):
    rows = tuple(replace(row, train_s=70.0) if row.method == "head_only" else row for row in findings.rows)
    assert _optimal(replace(findings, rows=rows), "train_s") == ["full", "lora"]


def test_where_lower_is_better_the_lowest_error_wins(findings):
    errors = tuple(replace(one, higher_is_better=False) for one in findings.quality)
    assert _optimal(replace(findings, quality=errors), "trainable_parameters") == ["lora", "head_only"]


def test_the_price_of_a_search_counts_its_trials(findings):
    trial = replace(findings.costs[0], kind="trial", seconds=1000.0)
    with_trials = replace(findings, costs=(*findings.costs, trial))
    full = _found(with_trials, "search_and_train_s").methods[0]
    assert full.price.value == pytest.approx(1300.0)
    prices = {one.price for one in trade_offs(findings.quality, findings.rows, findings.drift, findings.costs)}
    assert "search_and_train_s" not in prices, "nothing was searched"


def test_drift_is_paired_with_the_score_of_its_seed():
    findings = made_findings(plan_of())
    full = _found(findings, "drift").methods[0]
    assert [(seed, price, score) for seed, price, score, _ in full.by_seed] == [
        (seed, pytest.approx(0.29 + 0.01 * seed), pytest.approx(0.79 + 0.01 * seed)) for seed in (1, 2, 3)
    ]


def test_a_method_whose_price_is_not_known_for_every_seed_is_left_out():
    plan = plan_of(THREE)
    findings = made_findings(plan, score_of_run)
    drift = tuple(
        replace(one, drift=0.01 * (one.drift or 0.0)) if one.method == "lora" else one
        for one in findings.drift
        if (one.method, one.seed) != ("full", 2)
    )
    assert [one.method for one in _found(replace(findings, drift=drift), "drift").methods] == ["lora", "head_only"]


def test_money_is_a_price_where_the_study_gives_one(findings):
    assert "money" not in {one.price for one in trade_offs(findings.quality, findings.rows, (), findings.costs)}
    paid = tuple(replace(cost, price=2.0 if cost.method == "full" else 0.5) for cost in findings.costs)
    found = next(one for one in trade_offs(findings.quality, findings.rows, (), paid) if one.price == "money")
    assert {one.method: one.price.value for one in found.methods}["full"] == 2.0


def test_memory_is_traded_where_every_method_has_it(findings):
    def prices(rows):
        return {one.price for one in trade_offs(findings.quality, rows, (), ())}

    apart = tuple(replace(row, peak_memory_gib=1.0 + 0.1 * len(row.method)) for row in findings.rows)
    assert "peak_memory_gib" in prices(apart)
    hidden = tuple(replace(row, peak_memory_gib=None) if row.method == "lora" else row for row in apart)
    assert "peak_memory_gib" not in prices(hidden)


def test_one_method_or_equal_prices_say_nothing(findings):
    same = tuple(replace(row, trainable_parameters=5) for row in findings.rows)
    prices = {one.price for one in trade_offs(findings.quality, same, (), ())}
    assert prices == {"train_s"}
    alone = [one for one in findings.quality if one.method == "full"]
    assert trade_offs(alone, findings.rows, (), ()) == []
