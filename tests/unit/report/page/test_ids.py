from dataclasses import replace

import pytest

from report_content import empty_report, made_report, nasty_report
from tunescope.report.content.section import Section
from tunescope.report.content.table import Column, Row, Table, text
from tunescope.report.page.ids import anchors, check_ids, ids


def test_made_reports_are_in_order() -> None:
    for report in (made_report(), nasty_report(), empty_report()):
        check_ids(report)


def test_ids_and_anchors_of_a_report() -> None:
    report = made_report(tasks=("mrpc",), seeds=(1,))
    assert {"quality", "quality-means", "quality-scores", "row-0", "job-0"} <= set(ids(report))
    assert set(anchors(report)) == {"row-0", "row-1", "job-0", "provenance"}


def test_two_rows_with_one_id_are_refused() -> None:
    row = Row(id="row-1", cells=(text("a"),))
    table = Table(id="t", caption="T", columns=(Column(name="a"),), rows=(row, row))
    report = replace(empty_report(), sections=(Section(id="s", title="S", tables=(table,)),))
    with pytest.raises(AssertionError, match="more than once: row-1"):
        check_ids(report)
