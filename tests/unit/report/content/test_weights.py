"""Weights: norms and ranks by block, counted from 1 as layers are."""

from __future__ import annotations

from dataclasses import replace

from made_findings import TEXT, made_findings, plan_of
from tunescope.report.content.weights import weights_section


def test_lines_by_block_and_a_table_of_means():
    findings = made_findings(plan_of())
    section = weights_section(findings)
    norm, rank = section.charts[:2]
    assert (norm.id, rank.id) == ("weights-norm-mrpc", "weights-rank-mrpc")
    assert norm.x.categories == ("1", "2")
    full = next(series for series in norm.series if series.name == "full")
    assert [(point.x, point.y) for point in full.points] == [("1", 0.5), ("2", 0.5)]
    assert [point.y for point in rank.series[-1].points] == [8.0, 8.0]
    assert len([series for series in norm.series if series.is_faint]) == 6
    (table,) = section.tables
    assert len(table.rows) == 2 * 2 * 3
    assert [row.cells[2].shown for row in table.rows[:3]] == ["1", "2", "outside blocks"]
    assert table.rows[0].cells[5].shown == "50.0%"
    assert not any("intruder" in column.name for column in table.columns)


def test_intruders_are_drawn_where_they_were_looked_for():
    findings = made_findings(plan_of(TEXT.replace("drift: {}", "drift: {weight_directions: true}")))
    updates = tuple(replace(one, intruders=3.0, random_intruders=5.0) for one in findings.block_updates)
    section = weights_section(replace(findings, block_updates=updates))
    assert "weights-intruders-mrpc" in [chart.id for chart in section.charts]
    assert [column.name for column in section.tables[0].columns][-3] == "intruders"
    assert not any("not measured" in sentence.text for sentence in section.sentences)


def test_what_was_not_asked_for_says_how_to_ask():
    without = made_findings(plan_of(TEXT.replace("drift: {}", "")))
    assert "`drift:` section" in weights_section(without).missing
    off = made_findings(plan_of(TEXT.replace("drift: {}", "drift: {weights: false}")))
    assert "`weights: false`" in weights_section(off).missing
    nothing = replace(made_findings(plan_of()), block_updates=())
    assert "no drift job of a run is done" in weights_section(nothing).missing
