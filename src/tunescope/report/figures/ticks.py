"""What stands along an axis: numbers written short, names that fit, labels broken into lines."""

from __future__ import annotations

import itertools
import math
import textwrap
import warnings
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

from tunescope.report.figures.style import MISSING_GLYPH, SMALL_POINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP_POINTS = 4.0
"""Between neighbouring names, at least."""
_CHARACTER_POINTS = 4.6
"""Of an axis label, on average."""


@cache
def width_points(text: str) -> float:
    """Width of a text in the small size, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=SMALL_POINTS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=MISSING_GLYPH)
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def shown_number(value: float, *, plain: tuple[float, float] = (1e-3, 1e6)) -> str:
    """A tick's number: 0.05, 1,000, 3e-5, 2.5e7.

    Args:
        value: Finite.
        plain: Sizes from which and below which it is written out.

    Example:
        >>> [shown_number(value) for value in (0.05, 1000.0, 3e-5, -25e6, 0.0)]
        ['0.05', '1,000', '3e-5', '\N{MINUS SIGN}2.5e7', '0']
    """
    size = abs(value)
    if value == 0.0 or plain[0] <= size < plain[1]:
        text = f"{value:,.6g}"
    else:
        mantissa, exponent = f"{value:.5e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if value < 0 else text


def shortened(name: str, max_points: float) -> str:
    """The name, an ellipsis in its middle where it is wider than that: what tells names apart stands at either end."""
    if width_points(name) <= max_points:
        return name
    for kept in range(len(name) - 1, 1, -1):
        short = f"{name[: kept // 2]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - (kept - kept // 2) :]}"
        if width_points(short) <= max_points:
            return short
    return "\N{HORIZONTAL ELLIPSIS}"


def all_shortened(names: Sequence[str], max_points: float) -> list[str]:
    """Names along one axis, each at most so wide; first goes what all of them begin with, up to a dot, slash or hyphen."""
    if max(map(width_points, names)) > max_points and len(names) > 1:
        pairs = zip(min(names), max(names), strict=False)  # what these two share, all between them share
        shared = "".join(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        start = max(shared.rfind(separator) for separator in "./-") + 1
        if start > 2:
            names = [f"\N{HORIZONTAL ELLIPSIS}{name[start:]}" for name in names]
    return [shortened(name, max_points) for name in names]


def lines_of(label: str, max_points: float) -> str:
    """An axis label broken at words so that no line is much longer than that."""
    return "\n".join(textwrap.wrap(label, width=max(12, int(max_points / _CHARACTER_POINTS)))) or label


def do_fit(names: Sequence[str], space_points: float) -> bool:
    """Whether all names fit side by side in equal shares of the space."""
    return max(map(width_points, names)) + _GAP_POINTS <= space_points / len(names)


def thinned(names: Sequence[str], space_points: float, *, size_of_each: float | None = None) -> list[tuple[int, str]]:
    """Places and names to write: all where they fit, else the first, the last and evenly spaced ones between.

    Args:
        names: In the order of the axis.
        space_points: Length of the axis.
        size_of_each: Room that one name takes along the axis (its height where names are stacked); widths where None.
    """
    widest = size_of_each if size_of_each is not None else max(map(width_points, names)) + _GAP_POINTS
    step = max(1, math.ceil(widest * len(names) / space_points))
    last = len(names) - 1
    places = list(range(0, len(names), step))
    if places[-1] != last:
        if (last - places[-1]) < step and len(places) > 1:
            places.pop()
        places.append(last)
    return [(place, names[place]) for place in places]


def set_numbers(
    axes: Axes, side: Literal["x", "y"], scale: Literal["linear", "log"], *, are_whole: bool = False
) -> None:
    """Ticks for numbers, few enough for a column's width. To be called when all is drawn: a log axis needs its limits.

    Args:
        axes: With all data on them.
        side: Which of the two.
        scale: A log axis that spans little has ticks of round numbers instead of powers of ten.
        are_whole: Whether a linear axis counts things, so that no tick is to be a fraction.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    axis = axes.xaxis if side == "x" else axes.yaxis
    if scale == "linear":
        axis.set_major_formatter(FuncFormatter(lambda value, place: shown_number(value)))
        steps = [1, 2, 5, 10] if are_whole else [1, 2, 2.5, 5, 10]
        axis.set_major_locator(MaxNLocator(nbins=7 if are_whole else 6, steps=steps, integer=are_whole))
        return
    axis.set_major_formatter(FuncFormatter(lambda value, place: shown_number(value, plain=(1e-2, 1e5))))
    low, high = axes.get_xlim() if side == "x" else axes.get_ylim()
    decades = math.log10(high / low)
    axis.set_minor_formatter(NullFormatter())
    if decades < 0.7:
        axis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
        axis.set_minor_locator(NullLocator())
    elif decades < 2.0:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades > 1.0 else (1.0, 2.0, 3.0, 5.0)))
    else:
        axis.set_major_locator(LogLocator(numticks=6))
