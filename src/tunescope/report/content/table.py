"""A table as data: what the page, Markdown, LaTeX and CSV all show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's heading and what its cells are."""

    name: str
    kind: Literal["text", "number"] = "text"
    """Numbers are set right and sorted as numbers."""
    is_key: bool = False
    """Keys name a row; they stay in view on a narrow screen."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one cell shows, what it is worth, and where it comes from."""

    shown: str
    """As a person reads it, rounded; text of users is as it came, and is escaped where it is written."""
    value: float | int | str | bool | None = None
    """Unrounded, in the measure's own unit: what sorting, CSV and JSON take. None for what is not there."""
    anchor: str = ""
    """Id on the page of the rows behind it, without '#'."""
    tone: Literal["", "good", "bad", "doubt", "faint"] = ""
    """`doubt` of what is undecided, `bad` of failures; never the only sign of it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Cells in the order of the columns."""

    cells: tuple[Cell, ...]
    id: str = ""
    """Where an anchor leads; unique in a report where it is not empty."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under columns, with what must be known to read them."""

    id: str
    """Unique in a report; letters, digits and hyphens: its anchor, and the name of its file."""
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    can_filter: bool = False
    """Whether the page offers a filter over its rows: tables of many rows."""


def text(shown: str, *, anchor: str = "", tone: Literal["", "good", "bad", "doubt", "faint"] = "") -> Cell:
    """A cell of words."""
    return Cell(shown=shown, value=shown, anchor=anchor, tone=tone)
