"""Trade-offs: one chart per price, and the methods that no other one beats in both."""

from __future__ import annotations

import pytest

from made_findings import TEXT, made_findings, plan_of
from tunescope.report.content.tradeoffs import tradeoffs_section


@pytest.fixture(scope="module")
def section():
    return tradeoffs_section(made_findings(plan_of()))


def test_a_chart_for_each_price_that_differs(section):
    assert [chart.id for chart in section.charts][:3] == [
        "tradeoffs-mrpc-drift",
        "tradeoffs-mrpc-trainable-parameters",
        "tradeoffs-mrpc-train-s",
    ]
    assert not any("memory" in chart.id for chart in section.charts), "it is the same for both methods"


def test_marks_are_means_with_intervals_and_single_seeds(section):
    chart = section.charts[1]
    assert chart.x.scale == "log"
    by_name = {series.name: series for series in chart.series}
    (mean,) = by_name["lora"].points
    assert (mean.x, mean.y) == (1000.0, pytest.approx(100 * (0.78 + 0.80 + 0.80) / 3))
    assert mean.low < mean.y < mean.high
    assert [point.x for point in by_name["lora seeds"].points] == [1000.0] * 3
    assert chart.note.startswith("Not beaten in both: full, lora.")


def test_the_table_says_who_is_not_beaten(section):
    (table,) = section.tables
    cells = [[cell.shown for cell in row.cells] for row in table.rows[:2]]
    assert cells == [
        ["mrpc", "drift", "full", "81.0", "0.3100", "yes"],
        ["mrpc", "drift", "lora", "79.3", "0.1033", "yes"],
    ]


def test_one_method_is_nothing_to_weigh():
    alone = made_findings(plan_of(TEXT.replace(", lora: {}", "")))
    assert "one method" in tradeoffs_section(alone).missing
    nothing = made_findings(plan_of(), lambda run, metric: None)
    assert "no task has finished runs of two methods" in tradeoffs_section(nothing).missing
