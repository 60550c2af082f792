"""Series over a pair of axes: marks with intervals, lines with ribbons, faint single seeds, bands and levels behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tunescope.report.colours import Look
from tunescope.report.content.chart import Level, Point, Series, XYChart
from tunescope.report.figures.legend import add_legend
from tunescope.report.figures.looks import looks_of, mean_of
from tunescope.report.figures.style import COLUMN_WIDTH_IN, SMALL_POINTS
from tunescope.report.figures.ticks import (
    all_shortened,
    do_fit,
    lines_of,
    set_numbers,
    thinned,
    width_points,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLOT_HEIGHT_IN = 2.0
_PAGE_HEIGHT_IN = 8.5
"""What a long list of names is fitted into while it stays readable."""
_BESIDE_POINTS = 45.0
"""What the numbers and the label of the other axis take of the width."""
_MAX_NAME_POINTS = 110.0
_BAND_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx")
_MAX_MARKS = 16
"""Along one line."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where points go on the axes: categories are places 0, 1, 2 ..., moved aside where several series share one."""

    categories: tuple[str, ...]
    is_flipped: bool
    """Names down the left side and values along the bottom, where the names would not fit under the axes."""
    offsets: dict[str, float]
    """By `_slot`."""
    seed_offset: float
    """How far single seeds stand beside their mean."""


def xy_figure(chart: XYChart, methods: Sequence[str]) -> Figure:
    """Draws an XYChart; see `figures.draw`.

    Raises:
        ValueError: If there is no point at all, an x is not among the categories, a method is none of the study's, or a
            log axis would have to show a number that is not above 0.
    """
    from matplotlib.figure import Figure

    _check(chart)
    looks = looks_of(chart, methods)
    place = _place(chart)
    height = _PLOT_HEIGHT_IN
    if place.is_flipped:
        slots = max(1, len(set(place.offsets.values())))
        num_names = len(chart.x.categories)
        roomy, tight = max(0.19, 0.12 * slots + 0.05), max(0.15, 0.055 * slots + 0.04)
        height = 0.45 + num_names * min(roomy, max(tight, _PAGE_HEIGHT_IN / num_names))
    figure = Figure(figsize=(COLUMN_WIDTH_IN, height), layout="constrained")
    axes = figure.subplots()
    handles: dict[str, Artist] = {}
    for number, band in enumerate(chart.bands):
        name = f"{band.name}: {band.low:.4g} to {band.high:.4g}"
        handles[name] = _draw_band(axes, band.low, band.high, _BAND_HATCHES[number % len(_BAND_HATCHES)], place)
    for level in chart.levels:
        handles[f"{level.name}: {level.value:.4g}"] = _draw_level(axes, level, looks[level.name], place)
    for series in sorted(chart.series, key=lambda series: not series.is_faint):
        handle, name = _draw_series(axes, series, looks[series.name], place), mean_of(series, chart.series)
        if not all(point.x == name for point in series.points):  # else its name stands on the axis
            handles[name] = handle
    _set_axes(axes, chart, place, 72 * height)
    by_role = sorted(chart.series, key=lambda series: series.role != "method")
    first = dict.fromkeys(series.name for series in by_role if series.name in handles)
    add_legend(figure, {name: handles[name] for name in [*first, *(name for name in handles if name not in first)]})
    return figure


def _check(chart: XYChart) -> None:
    points = [point for series in chart.series for point in series.points]
    if not points:
        raise ValueError(f"chart {chart.id}: no series has a point")
    for point in points:
        if chart.x.categories and point.x not in chart.x.categories:
            raise ValueError(f"chart {chart.id}: {point.x!r} is none of the categories {list(chart.x.categories)}")
        if not chart.x.categories and isinstance(point.x, str):
            raise ValueError(f"chart {chart.id}: x is {point.x!r}, and the axis has no categories")
    xs = [] if chart.x.categories else [float(point.x) for point in points]
    ys = [value for point in points for value in (point.y, point.low, point.high) if value is not None]
    ys += [level.value for level in chart.levels] + [end for band in chart.bands for end in (band.low, band.high)]
    for axis, values in ((chart.x, xs), (chart.y, ys)):
        if axis.scale == "log" and values and min(values) <= 0.0:
            raise ValueError(f"chart {chart.id}: {axis.label} has a log axis and the value {min(values):g}")


def _slot(series: Series) -> str:
    """What stands side by side in one category: methods, and series that are no method's. A mean and its seeds are one."""
    return series.method if series.role == "method" and series.method is not None else series.name


def _place(chart: XYChart) -> _Place:
    names = chart.x.categories
    if not names or any(series.style != "marks" for series in chart.series):
        return _Place(categories=names, is_flipped=False, offsets={}, seed_offset=0.0)
    slots = list(dict.fromkeys(_slot(series) for series in chart.series))
    in_category = {
        name: {_slot(series) for series in chart.series if any(point.x == name for point in series.points)}
        for name in names
    }
    if max(map(len, in_category.values())) == 1:
        slots_of, step = dict.fromkeys(slots, 0.0), 0.25
    else:
        step = min(0.8 / len(slots), 0.3)
        slots_of = {slot: (number - (len(slots) - 1) / 2) * step for number, slot in enumerate(slots)}
    fits = do_fit(names, 72 * COLUMN_WIDTH_IN - _BESIDE_POINTS) and len(names) * len(slots) <= 24
    return _Place(categories=names, is_flipped=not fits, offsets=slots_of, seed_offset=0.3 * step)


def _draw_band(axes: Axes, low: float, high: float, hatch: str, place: _Place) -> Artist:
    span = axes.axvspan if place.is_flipped else axes.axhspan
    return span(low, high, facecolor="#E9E9E9", edgecolor="#C4C4C4", hatch=hatch, linewidth=0.0, zorder=0)


def _draw_level(axes: Axes, level: Level, look: Look, place: _Place) -> Artist:
    line = axes.axvline if place.is_flipped else axes.axhline
    return line(level.value, color=look.colour, linestyle=look.dash, linewidth=0.9, zorder=1)


def _draw_series(axes: Axes, series: Series, look: Look, place: _Place) -> Artist:
    """Draws a series and returns its sample for the legend."""
    known = sorted(series.points, key=lambda point: _x(point, series, place))
    xs = [_x(point, series, place) for point in known]
    points: Sequence[Point | None] = known
    has_line = series.style != "marks"
    if has_line and place.categories:
        xs, points = _with_gaps(xs, known)
    line: dict[str, Any] = {"color": look.colour, "linestyle": "none", "marker": "none"}
    if has_line:
        line |= {"linestyle": "-" if series.is_faint else look.dash, "linewidth": 0.6 if series.is_faint else 1.2}
    if series.style in ("marks", "line and marks") or len(known) == 1:
        size = (1.8 if has_line else 3.0) if series.is_faint else (3.0 if has_line else 4.2)
        line |= {"marker": look.mark, "markersize": size, "markeredgewidth": 0.0}
        if has_line:
            line["markevery"] = -(-len(points) // _MAX_MARKS)
    if series.style == "steps":
        line["drawstyle"] = "steps-post"
    line |= {"alpha": 0.4, "zorder": 2} if series.is_faint else {"zorder": 4}
    _draw_intervals(axes, xs, points, series, look, place)
    values = [float("nan") if point is None else point.y for point in points]
    (drawn,) = axes.plot(*((values, xs) if place.is_flipped else (xs, values)), **line)
    return drawn


def _x(point: Point, series: Series, place: _Place) -> float:
    if not isinstance(point.x, str):
        return float(point.x)
    aside = place.offsets.get(_slot(series), 0.0) + (place.seed_offset if series.is_faint else 0.0)
    return place.categories.index(point.x) + aside


def _with_gaps(xs: Sequence[float], points: Sequence[Point]) -> tuple[list[float], list[Point | None]]:
    """Each category from the first to the last that has a point; a line breaks where one has none."""
    known = dict(zip(xs, points, strict=True))
    if len(known) != len(points):
        return list(xs), list(points)  # several points in a category: nothing to bridge
    places = [float(number) for number in range(int(min(xs)), int(max(xs)) + 1)]
    return places, [known.get(x) for x in places]


def _draw_intervals(
    axes: Axes, xs: Sequence[float], points: Sequence[Point | None], series: Series, look: Look, place: _Place
) -> None:
    """Ribbons along stretches of a line whose points have an interval; bars at marks, and where a neighbour has none."""
    if series.is_faint:
        return
    nan = float("nan")
    ends = [
        (point.low, point.high)
        if point is not None and point.low is not None and point.high is not None
        else (nan, nan)
        for point in points
    ]
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    known = [low == low for low in lows]
    alone = list(known)
    if series.style != "marks":
        step: Literal["post"] | None = "post" if series.style == "steps" else None
        axes.fill_between(list(xs), lows, highs, color=look.colour, alpha=0.16, linewidth=0.0, step=step, zorder=1.5)
        beside = zip([False, *known[:-1]], known, [*known[1:], False], strict=True)
        alone = [here and not (before or after) for before, here, after in beside]
    lines = axes.hlines if place.is_flipped else axes.vlines
    at = [number for number, is_alone in enumerate(alone) if is_alone]
    if at:
        lines(
            [xs[i] for i in at],
            [lows[i] for i in at],
            [highs[i] for i in at],
            color=look.colour,
            linewidth=1.0,
            zorder=3,
        )


def _set_axes(axes: Axes, chart: XYChart, place: _Place, height_points: float) -> None:
    width_room, height_room = 72 * COLUMN_WIDTH_IN - _BESIDE_POINTS, height_points - 35.0
    values, keys = ("x", "y") if place.is_flipped else ("y", "x")
    axes.grid(visible=True, axis="x" if place.is_flipped else "both" if not place.categories else "y")
    set_scale = {"x": axes.set_xscale, "y": axes.set_yscale}
    set_label = {
        "x": lambda label: axes.set_xlabel(lines_of(label, width_room)),
        "y": lambda label: axes.set_ylabel(lines_of(label, max(height_room, 60.0))),
    }
    set_scale[values](chart.y.scale)
    set_numbers(axes, "x" if place.is_flipped else "y", chart.y.scale)
    set_label[values](chart.y.label)
    set_label[keys](chart.x.label)
    names = place.categories
    if not names:
        axes.set_xscale(chart.x.scale)
        are_whole = all(float(point.x).is_integer() for series in chart.series for point in series.points)
        set_numbers(axes, "x", chart.x.scale, are_whole=are_whole)
    elif place.is_flipped:
        axes.set_yticks(range(len(names)), all_shortened(names, _MAX_NAME_POINTS))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
    else:
        _name_under(axes, names, width_room)


def _name_under(axes: Axes, names: tuple[str, ...], width_room: float) -> None:
    """Names under the axes: all of them side by side, on end, or every so many."""
    shown, rotation = thinned(names, width_room), 0
    if len(shown) < len(names) and max(map(width_points, names)) > 3.2 * SMALL_POINTS:
        short = all_shortened(names, 60.0)
        shown, rotation = thinned(short, width_room, size_of_each=1.2 * SMALL_POINTS), 90
    axes.set_xticks([where for where, _ in shown], [name for _, name in shown], rotation=rotation)
    axes.set_xlim(-0.5, len(names) - 0.5)
