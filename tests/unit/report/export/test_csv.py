"""CSV: whole numbers, as `csv` reads them back."""

from __future__ import annotations

import csv
import io

from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.report.export.csv import csv_table


def test_values_come_back_whole():
    third = 1.0 / 3.0
    cells = (
        text('a "b", c\nd'),
        Cell(shown="33.3", value=third),
        Cell(shown="1,000", value=1000),
        Cell(shown="yes", value=True),
        Cell(shown="-"),
    )
    columns = tuple(Column(name=name) for name in ("name", "share", "count", "is_done", "none"))
    table = Table(id="t", caption="", columns=columns, rows=(Row(cells=cells),))
    head, row = csv.reader(io.StringIO(csv_table(table), newline=""))
    assert head == ["name", "share", "count", "is_done", "none"]
    assert row[0] == 'a "b", c\nd'
    assert float(row[1]) == third
    assert row[2:] == ["1000", "true", ""]
