"""A table loses no digit on any terminal: what does not fit goes below."""

from __future__ import annotations

import pytest
from rich import box
from rich.table import Table
from rich.text import Text

from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.results import render

_NUMBERS = [f"{50 + place}.{place} ± 1{place}.5" for place in range(8)]


def _table(num_rows: int = 2) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="the title")
    table.add_column("task")
    table.add_column("score")
    for place in range(8):
        table.add_column(f"method{place}", justify="right", no_wrap=True)
    table.add_column("remark")
    for row in range(num_rows):
        table.add_row(f"task{row}", Text("accuracy"), *_NUMBERS, "some words that may be folded where they must")
    return table


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_every_number_and_header_stands_whole_and_no_line_is_too_wide(width):
    shown = render(Blocks(_table(), num_keys=2), width=width)
    assert "…" not in shown
    for row in range(2):
        for number in _NUMBERS:
            assert shown.count(number) == 2
        lines = [line for line in shown.splitlines() if f"task{row}" in line]
        assert [number for line in lines for number in _NUMBERS if number in line] == _NUMBERS
    assert all(f"method{place}" in shown for place in range(8))
    assert max(len(line) for line in shown.splitlines()) <= width
    assert shown.count("the title") == 1


def test_where_there_is_room_the_table_is_as_it_was():
    assert render(Blocks(_table(), num_keys=2), width=240) == render(_table(), width=240)


def test_words_fold_before_columns_go_below():
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("job")
    table.add_column("time", no_wrap=True)
    table.add_row("a-very-long-name-of-a-job-that-folds", "12.5 s")
    shown = render(Blocks(table, num_keys=1), width=30)
    assert shown.count("12.5 s") == 1
    assert "".join(line.split()[0] for line in shown.splitlines()[3:6]) == "a-very-long-name-of-a-job-that-folds"
