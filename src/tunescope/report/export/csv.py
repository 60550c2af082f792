"""Tables as CSV: unrounded values in each measure's own unit, for programs."""

from __future__ import annotations

import csv
import io

from tunescope.report.content.table import Cell, Table


def csv_table(table: Table) -> str:
    """A table as RFC 4180 has it, with a line of headings; what is not there is empty, true and false are words."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows([_value(cell) for cell in row.cells] for row in table.rows)
    return buffer.getvalue()


def _value(cell: Cell) -> str:
    if cell.value is None:
        return ""
    if isinstance(cell.value, bool):
        return "true" if cell.value else "false"
    return repr(cell.value) if isinstance(cell.value, float) else str(cell.value)
