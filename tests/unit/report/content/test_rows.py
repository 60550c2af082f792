"""All rows: each cell's first row has the id that its numbers lead to, and holds the store's number."""

from __future__ import annotations

from made_findings import made_findings, plan_of, score_of_run
from tunescope.report.content.rows import rows_section


def test_the_first_row_of_a_cell_has_the_cells_id():
    findings = made_findings(plan_of())
    (table,) = rows_section(findings).tables
    assert len(table.rows) == len(findings.rows)
    ids = [row.id for row in table.rows]
    assert ids[:4] == ["rows-org-decoder-mrpc-full-accuracy", "rows-org-decoder-mrpc-full-f1", "row-3", "row-4"]
    assert "rows-any-mrpc-majority-accuracy" in ids
    names = [column.name for column in table.columns]
    for row, one in zip(table.rows, findings.rows, strict=True):
        cells = dict(zip(names, row.cells, strict=True))
        assert cells["value"].value == one.value
        assert cells["value"].anchor == cells["scored by job"].anchor == f"job-{one.job}"


def test_a_failed_run_has_a_row_and_no_number():
    plan = plan_of()
    findings = made_findings(plan, lambda run, metric: None if run.seed == 2 else score_of_run(run, metric))
    (table,) = rows_section(findings).tables
    failed = [row for row in table.rows if row.cells[7].shown == "failed"]
    assert len(failed) == 2 * 2 + 2  # mrpc has two scores, rte one
    assert all(row.cells[4].value is None and row.cells[8].shown == "out of memory" for row in failed)
