"""A table that never loses a digit: what does not fit a narrow terminal goes below, in blocks of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult, RichCast
from rich.table import Column, Table
from rich.text import Text

_MIN_FOLDED = 12
"""Characters a line of a folded cell has at least."""


class Blocks:
    """A rich table, printed whole where it fits, else as several, each with the key columns and some of the others.

    Columns that may wrap (`no_wrap` is not set) are folded first; of the others every cell stays whole.

    Args:
        table: All columns and rows.
        num_keys: How many columns, from the left, say what a line is about.
    """

    def __init__(self, table: Table, num_keys: int) -> None:
        self._table, self._num_keys = table, num_keys

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = self._table.columns
        if self._width(columns, folded=False) <= options.max_width:
            yield self._table
            return
        keys, others = columns[: self._num_keys], columns[self._num_keys :]
        blocks: list[list[Column]] = []
        for column in others:
            if blocks and self._width([*keys, *blocks[-1], column], folded=True) <= options.max_width:
                blocks[-1].append(column)
            else:
                blocks.append([column])
        for number, block in enumerate(blocks):
            room = options.max_width - self._width([*keys, *block], folded=True)
            yield self._part([*keys, *block], with_title=number == 0, room=room)

    def _width(self, columns: Sequence[Column], *, folded: bool) -> int:
        """Characters that a table of these columns takes, its frame of blanks included."""
        _, right, _, left = self._table.padding
        return sum(_least(column) if folded else _longest(column) for column in columns) + (
            len(columns) * (left + right + 1) + 1
        )

    def _part(self, columns: Sequence[Column], *, with_title: bool, room: int) -> Table:
        """The table of these columns alone; `room` is what the folded ones may take beyond their least."""
        part = Table(
            box=self._table.box,
            title=self._table.title if with_title else None,
            title_justify=self._table.title_justify,
            title_style=self._table.title_style,
            padding=self._table.padding,
        )
        for column in columns:
            width = _least(column)
            more = min(max(room, 0), _longest(column) - width)
            room -= more
            part.add_column(
                column.header,
                justify=column.justify,
                style=column.style,
                overflow="fold",
                no_wrap=column.no_wrap,
                width=width + more,
            )
        for row, cells in zip(self._table.rows, zip(*(column.cells for column in columns), strict=True), strict=True):
            part.add_row(*cells, style=row.style, end_section=row.end_section)
        return part


def _longest(column: Column) -> int:
    return max(_lengths([column.header, *column.cells]))


def _least(column: Column) -> int:
    return _longest(column) if column.no_wrap else min(_longest(column), _MIN_FOLDED)


def _lengths(cells: Iterable[ConsoleRenderable | RichCast | str]) -> Iterable[int]:
    for cell in cells:
        text = cell.plain if isinstance(cell, Text) else str(cell)
        yield max((cell_len(line) for line in text.split("\n")), default=0)
