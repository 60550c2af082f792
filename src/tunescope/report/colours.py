"""How each method looks, everywhere: a colour, a mark and a dash, told apart by colour-blind readers and in grey print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito (2008), the order in which they are used."""
GREYS = ("#6E6E6E", "#9A9A9A", "#4D4D4D")
"""Of controls, baselines and guides."""
ON_DARK = {"#000000": "#F2F2F2", "#6E6E6E": "#A8A8A8", "#9A9A9A": "#7C8087", "#4D4D4D": "#D0D0D0"}
"""What takes a colour's place on a dark ground; the others stay as they are."""

MarkNames = tuple[str, str]
"""A mark as Matplotlib and as Plotly call it."""
MARKS: tuple[MarkNames, ...] = (
    ("o", "circle"),
    ("s", "square"),
    ("D", "diamond"),
    ("^", "triangle-up"),
    ("X", "x"),
    ("v", "triangle-down"),
    ("P", "cross"),
    ("p", "pentagon"),
    ("*", "star"),
    ("h", "hexagon"),
)

MatplotlibDash = str | tuple[float, tuple[float, ...]]
DASHES: tuple[tuple[MatplotlibDash, str], ...] = (
    ("-", "solid"),
    ("--", "dash"),
    ((0.0, (1.0, 1.2)), "dot"),
    ("-.", "dashdot"),
    ((0.0, (8.0, 2.0)), "longdash"),
    ((0.0, (8.0, 2.0, 1.0, 2.0)), "longdashdot"),
)
"""As Matplotlib and as Plotly call them."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one method, or one thing that is no method, is drawn."""

    colour: str
    """#RRGGBB, on a light ground."""
    dark_colour: str
    """#RRGGBB, on a dark ground."""
    mark: str
    """Matplotlib's name."""
    plotly_mark: str
    dash: MatplotlibDash
    plotly_dash: str


def method_look(method: str, methods: Sequence[str]) -> Look:
    """The look of a method, by its place in the study's order; colour and mark together repeat after 70 methods.

    Raises:
        ValueError: If it is none of the study's methods.

    Example:
        >>> method_look("lora", ["full", "lora"]).colour
        '#D55E00'
    """
    if method not in methods:
        raise ValueError(f"{method!r} is none of the study's methods: {', '.join(methods)}")
    place = list(methods).index(method)
    return _look(COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)], DASHES[place % len(DASHES)])


def grey_look(place: int) -> Look:
    """The look of what is no method (a control, a baseline, a guide), by its place among those of a chart: grey, dashed.

    Raises:
        ValueError: If the place is negative.
    """
    if place < 0:
        raise ValueError(f"grey_look: place must be 0 or more, got {place}")
    return _look(GREYS[place % len(GREYS)], MARKS[place % len(MARKS)], DASHES[1 + place % (len(DASHES) - 1)])


def _look(colour: str, mark: MarkNames, dash: tuple[MatplotlibDash, str]) -> Look:
    return Look(
        colour=colour,
        dark_colour=ON_DARK.get(colour, colour),
        mark=mark[0],
        plotly_mark=mark[1],
        dash=dash[0],
        plotly_dash=dash[1],
    )
