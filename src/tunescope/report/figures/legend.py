"""The legend, under the axes and never over the data."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tunescope.report.figures.style import COLUMN_WIDTH_IN, SMALL_POINTS
from tunescope.report.figures.ticks import width_points

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_HANDLE = 2.6
"""Width of a sample, in font sizes: long enough to show a dash."""
_BESIDE_POINTS = SMALL_POINTS * (_HANDLE + 0.6 + 1.2)
"""What an entry takes beside its text."""
_LINE_IN = 1.35 * SMALL_POINTS / 72
_MAX_CHARACTERS = 48


def add_legend(figure: Figure, handles: Mapping[str, Artist]) -> None:
    """Puts samples with their names under the axes, in as many columns as fit, and makes the figure taller by as much.

    Args:
        figure: With constrained layout, `COLUMN_WIDTH_IN` wide.
        handles: Name -> what it looks like; nothing is added where there are none.
    """
    if not handles:
        return
    labels = ["\n".join(textwrap.wrap(name, _MAX_CHARACTERS)) or " " for name in handles]
    num_columns = _num_columns([max(map(width_points, label.split("\n"))) for label in labels])
    num_rows = math.ceil(len(labels) / num_columns)
    num_lines = num_rows * max(label.count("\n") + 1 for label in labels)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.08 + num_lines * _LINE_IN)
    figure.legend(
        list(handles.values()),
        labels,
        loc="outside lower center",
        ncols=num_columns,
        handlelength=_HANDLE,
        columnspacing=1.2,
        handletextpad=0.6,
        labelspacing=0.3,
        borderpad=0.1,
        borderaxespad=0.0,
    )


def _num_columns(widths: Sequence[float]) -> int:
    """The most columns that fit, filled one after the other as Matplotlib does, each as wide as its widest text."""
    for num_columns in range(len(widths), 1, -1):
        size, longer = divmod(len(widths), num_columns)
        starts = [number * size + min(number, longer) for number in range(num_columns + 1)]
        columns = [widths[start:end] for start, end in itertools.pairwise(starts)]
        if sum(max(column) + _BESIDE_POINTS for column in columns) <= 72 * COLUMN_WIDTH_IN:
            return num_columns
    return 1
