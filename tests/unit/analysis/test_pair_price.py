"""What a method costs beside another: ratios of means over the runs that are done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import made_findings, plan_of
from tunescope.analysis.pair_price import pair_price

ROWS = made_findings(plan_of()).rows


def test_ratios_count_each_run_once_whichever_scores_it_has():
    rows = [replace(row, train_s=80.0) if (row.method, row.seed) == ("lora", 1) else row for row in ROWS]
    price = pair_price(rows, "org/decoder", "mrpc", "lora", "full")
    assert price.trainable_parameters == 1_000 / 900_000
    assert price.train_s == pytest.approx((80.0 + 60.0 + 60.0) / 300.0)
    assert price.peak_memory_gib == 1.0


def test_what_is_unknown_has_no_ratio():
    assert pair_price(ROWS, "org/other", "mrpc", "lora", "full").train_s is None
    free = [replace(row, trainable_parameters=0) if row.method == "full" else row for row in ROWS]
    assert pair_price(free, "org/decoder", "mrpc", "lora", "full").trainable_parameters is None
