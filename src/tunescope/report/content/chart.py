"""A chart as data: what is drawn, said once, for the page (Plotly) and for papers (Matplotlib) alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["method", "control", "baseline", "other"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One mark. Where `low` and `high` are given, they are its interval."""

    x: float | str
    """A number, or the name of a category where the axis has categories."""
    y: float
    low: float | None = None
    high: float | None = None
    text: str = ""
    """What stands beside it when it is pointed at: the seed, the trial, the module."""
    anchor: str = ""
    """Where its rows are on the page (`Table` row or section id, without '#')."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Marks that belong together, with one name in the legend."""

    name: str
    points: tuple[Point, ...]
    role: Role = "method"
    """Methods have a colour each, the same in every chart of a study; the others are shades of grey, told apart by their dashes and marks."""
    method: str | None = None
    """Of `role` method: which. Its place among the study's methods gives colour and mark."""
    style: Literal["marks", "line", "line and marks", "steps"] = "marks"
    is_faint: bool = False
    """Single seeds behind their mean."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """A stretch of the y axis: an expected range, a control's interval."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Level:
    """A line across the chart: a baseline, a published figure."""

    name: str
    value: float
    role: Role = "baseline"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is read off an axis, with its unit."""

    label: str
    scale: Literal["linear", "log"] = "linear"
    categories: tuple[str, ...] = ()
    """In the order they are drawn; empty where x is a number."""


@dataclass(frozen=True, kw_only=True)
class XYChart:
    """Series over one pair of axes."""

    id: str
    """Unique in a report; letters, digits and hyphens: its anchor, and the name of its file."""
    title: str
    """What is shown, in words."""
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    bands: tuple[Band, ...] = ()
    levels: tuple[Level, ...] = ()
    note: str = ""
    """How to read it: what an interval is of, what a grey line is."""


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """A value for each pair of two lists of names."""

    id: str
    title: str
    x_label: str
    y_label: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    """By row, then column; None is left blank."""
    value_label: str
    limits: tuple[float, float] | None = None
    """Ends of the colour scale; of the values where None."""
    note: str = field(default="")


Chart = XYChart | HeatMap
