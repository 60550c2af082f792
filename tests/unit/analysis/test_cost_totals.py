"""Totals of the ledger: by kind of job, then all."""

from __future__ import annotations

from dataclasses import replace

from made_findings import made_findings, plan_of
from tunescope.analysis.cost_totals import cost_totals


def test_sums_are_over_every_line():
    costs = made_findings(plan_of()).costs
    trial = replace(costs[0], kind="trial", seconds=7.0, price=0.25, peak_memory_gib=9.0, num_failed=2)
    train, trials, everything = cost_totals([*costs, trial])
    assert (train.what, trials.what, everything.what) == ("train", "trial", "all")
    assert train.seconds == sum(cost.seconds for cost in costs)
    assert everything.seconds == train.seconds + 7.0
    assert (train.price, everything.price) == (None, 0.25)
    assert (everything.num_failed, everything.peak_memory_gib) == (2, 9.0)


def test_an_empty_ledger_has_no_totals():
    assert cost_totals([]) == []
