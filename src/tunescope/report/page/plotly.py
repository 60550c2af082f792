"""A chart -> the traces and layout that Plotly draws. Colours are those of a light ground; the page swaps them on a dark one."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tunescope.report.colours import ON_DARK, Look, grey_look
from tunescope.report.content.chart import Axis, Chart, HeatMap, Level, Point, Series, XYChart
from tunescope.report.figures.looks import looks_of
from tunescope.report.page.legend import Entry, legend

INK = "#1B1D21"
FAINT_INK = "#5A5F66"
GRID = "#E7E8EA"
RULE = "#B9BDC3"
GROUND = "#FFFFFF"
_PAGE_ON_DARK = {INK: "#E7E8EA", FAINT_INK: "#A3A9B2", GRID: "#2A2E35", RULE: "#555B65", GROUND: "#15171B"}

RIBBON_OPACITY = 0.16
"""Of an interval drawn as a ribbon around a line, and of a band."""
CROWDED_OPACITY = 0.07
"""Of ribbons where more than `_FEW_RIBBONS` lie over one another."""
FAINT_OPACITY = 0.45
"""Of single seeds behind their mean."""
XY_HEIGHT_PX = 340
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_LONGEST_TICK = 26
_FEW_RIBBONS = 4
_FEWEST_SCROLLED = 12
"""Categories from which a chart may be wider than a phone, and scrolls."""
_MOST_NAMED_CELLS = 8
"""Columns up to which a heat map writes its values into its cells."""


def plotly_spec(chart: Chart, methods: Sequence[str]) -> dict[str, Any]:
    """What `Plotly.newPlot` takes, as JSON: `data` and `layout`.

    Text of users is escaped where Plotly would read it as markup (axis titles, ticks). A trace's `meta` holds its name and
    `customdata` low, high, text and anchor of each point, both raw: the page escapes them when it shows them. Traces
    without `meta` are ribbons.

    Args:
        chart: What is drawn.
        methods: Of the study, in its order: a method's place gives colour, mark and dash.
    """
    return _heat_map(chart) if isinstance(chart, HeatMap) else _xy(chart, methods)


def dark_colours() -> dict[str, str]:
    """Each colour of a spec that changes on a dark ground -> what it changes to."""
    plain = ON_DARK | _PAGE_ON_DARK
    opacities = (RIBBON_OPACITY, CROWDED_OPACITY)
    return plain | {_sheer(light, o): _sheer(dark, o) for light, dark in ON_DARK.items() for o in opacities}


def least_width_px(chart: Chart) -> int:
    """The width below which a chart scrolls sideways instead of shrinking; 0 where it always fits."""
    if isinstance(chart, HeatMap):
        return 18 * len(chart.columns) + 150 if len(chart.columns) > _FEWEST_SCROLLED else 0
    categories = _categories(chart)
    if len(categories) <= _FEWEST_SCROLLED:
        return 0
    beside = len({series.name for series in chart.series if not series.is_faint}) if _are_beside(chart) else 1
    return len(categories) * max(22, 9 * beside + 8) + 90


def _xy(chart: XYChart, methods: Sequence[str]) -> dict[str, Any]:
    categories = _categories(chart)
    places = {name: place for place, name in enumerate(categories)}
    points = [point for series in chart.series for point in series.points]
    entries = [entry for entry in legend(chart, methods) if entry.kind == "series"]
    step = min(0.17, 0.74 / max(len(entries), 1)) if categories and _are_beside(chart) else 0.0
    are_alone = _most_together(chart, entries) <= 1
    num_ribbons = sum(series.style != "marks" and any(map(_has_interval, series.points)) for series in chart.series)
    opacity = RIBBON_OPACITY if num_ribbons <= _FEW_RIBBONS else CROWDED_OPACITY
    faint: list[dict[str, Any]] = []
    plain: list[dict[str, Any]] = []
    ribbons: list[dict[str, Any]] = []
    for number, entry in reversed(list(enumerate(entries))):  # what is listed first is drawn on top
        offset = 0.0 if are_alone else (number - (len(entries) - 1) / 2) * step
        for place in entry.series:
            series = chart.series[place]
            shift = offset - 0.3 * step if series.is_faint and len(entry.series) > 1 else offset
            x = [places[str(point.x)] + shift if categories else point.x for point in series.points]
            ribbons.extend(_ribbons(series, entry.look, x, f"g{number}", opacity))
            (faint if series.is_faint else plain).append(_trace(series, entry, x, f"g{number}"))
    shapes = [_band(band.low, band.high) for band in chart.bands]
    shapes += [_level(level, looks_of(chart, methods)[level.name]) for level in chart.levels]
    layout = _layout(
        x=_axis(chart.x, categories, [float(point.x) for point in points if not isinstance(point.x, str)]),
        y=_axis(chart.y, (), [point.y for point in points]) | {"title": {"text": "", "standoff": 0}} | _room(chart),
        meta={"categories": list(categories), "x": chart.x.label, "y": chart.y.label},
    )
    return {"data": ribbons + faint + plain, "layout": layout | {"shapes": shapes, "height": _height_px(categories)}}


def _height_px(categories: Sequence[str]) -> int:
    """Many long names stand aslant below the axis and want room of their own."""
    longest = max((len(_shortened(name)) for name in categories), default=0)
    return XY_HEIGHT_PX + (4 * longest if len(categories) > _FEWEST_SCROLLED and longest > 4 else 0)


def _room(chart: XYChart) -> dict[str, Any]:
    """Ends of a linear y axis: all marks, intervals, levels and bands with a twentieth to spare at either end."""
    points = [point for series in chart.series for point in series.points]
    ys = [value for point in points for value in (point.y, point.low, point.high) if value is not None]
    ys += [level.value for level in chart.levels] + [end for band in chart.bands for end in (band.low, band.high)]
    if chart.y.scale == "log" or not ys:
        return {}
    spare = 0.05 * (max(ys) - min(ys)) or 0.05 * abs(ys[0]) or 1.0
    return {"range": [min(ys) - spare, max(ys) + spare]}


def _log_ticks(values: Sequence[float]) -> dict[str, Any]:
    """Powers of ten alone over two decades and more; else 1, 2 and 5 times them, written out."""
    shown = [value for value in values if value > 0]
    if shown and math.log10(max(shown) / min(shown)) >= 2.0:
        return {"dtick": 1}
    return {"dtick": "D2", "minorloglabels": "complete"}


def _categories(chart: XYChart) -> tuple[str, ...]:
    """The categories of x, in order; empty where x is a number."""
    if chart.x.categories:
        return chart.x.categories
    named = (point.x for series in chart.series for point in series.points if isinstance(point.x, str))
    return tuple(dict.fromkeys(named))


def _are_beside(chart: XYChart) -> bool:
    """Whether series stand beside each other within a category: marks do, lines do not."""
    return all(series.style == "marks" for series in chart.series)


def _most_together(chart: XYChart, entries: Sequence[Entry]) -> int:
    """How many entries of the legend have marks in the same category, at most."""
    held = [{point.x for place in entry.series for point in chart.series[place].points} for entry in entries]
    counts = Counter(x for one in held for x in one)
    return max(counts.values(), default=0)


def _trace(series: Series, entry: Entry, x: Sequence[float | str], group: str) -> dict[str, Any]:
    look = entry.look
    modes = {"marks": "markers", "line": "lines", "line and marks": "lines+markers", "steps": "lines"}
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": modes[series.style],
        "x": list(x),
        "y": [point.y for point in series.points],
        "legendgroup": group,
        "opacity": FAINT_OPACITY if series.is_faint else 1,
        "line": {"color": look.colour, "width": 1 if series.is_faint else 2, "dash": look.plotly_dash},
        "marker": _marker(look, is_faint=series.is_faint),
        "meta": {"name": series.name},
    }
    if series.style == "steps":
        trace["line"]["shape"] = "hv"
    if any(point.low is not None or point.text or point.anchor for point in series.points):
        trace["customdata"] = [[point.low, point.high, point.text, point.anchor] for point in series.points]
    if series.style == "marks" and any(_has_interval(point) for point in series.points):
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [_above(point) for point in series.points],
            "arrayminus": [_below(point) for point in series.points],
            "color": look.colour,
            "thickness": 1.5,
            "width": 3,
        }
    return trace


def _marker(look: Look, *, is_faint: bool) -> dict[str, Any]:
    return {
        "color": look.colour,
        "symbol": look.plotly_mark,
        "size": 6 if is_faint else 9,
        "line": {"color": GROUND, "width": 0.5},
    }


def _has_interval(point: Point) -> bool:
    return point.low is not None and point.high is not None


def _above(point: Point) -> float | None:
    return None if point.high is None else point.high - point.y


def _below(point: Point) -> float | None:
    return None if point.low is None else point.y - point.low


def _ribbons(
    series: Series, look: Look, x: Sequence[float | str], group: str, opacity: float
) -> Iterator[dict[str, Any]]:
    """The interval of a line, in a pair of traces for each stretch of points that have one."""
    if series.style == "marks":
        return
    stretch: list[tuple[float | str, float, float]] = []
    for place, point in zip([*x, None], [*series.points, None], strict=True):
        if place is not None and point is not None and point.low is not None and point.high is not None:
            stretch.append((place, point.low, point.high))
            continue
        if len(stretch) > 1:
            shape = "hv" if series.style == "steps" else "linear"
            for bound in (1, 2):
                yield {
                    "type": "scatter",
                    "mode": "lines",
                    "x": [one[0] for one in stretch],
                    "y": [one[bound] for one in stretch],
                    "legendgroup": group,
                    "hoverinfo": "skip",
                    "line": {"width": 0, "shape": shape, "color": look.colour},
                    **({"fill": "tonexty", "fillcolor": _sheer(look.colour, opacity)} if bound == 2 else {}),
                }
        stretch = []


def _band(low: float, high: float) -> dict[str, Any]:
    return {
        "type": "rect",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": low,
        "y1": high,
        "layer": "below",
        "line": {"width": 0},
        "fillcolor": _sheer(grey_look(0).colour, RIBBON_OPACITY),
    }


def _level(level: Level, look: Look) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": level.value,
        "y1": level.value,
        "layer": "below",
        "line": {"width": 1.5, "dash": look.plotly_dash, "color": look.colour},
    }


def _heat_map(chart: HeatMap) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": [list(row) for row in chart.values],
        "colorscale": "Viridis",
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
        "colorbar": {"thickness": 10, "outlinewidth": 0, "len": 1, "tickfont": {"color": FAINT_INK, "size": 11}},
        "meta": {"name": chart.value_label},
    }
    if chart.limits is not None:
        trace |= {"zmin": chart.limits[0], "zmax": chart.limits[1]}
    if len(chart.columns) <= _MOST_NAMED_CELLS:
        trace["texttemplate"] = "%{z:.2f}"
    x = _axis(Axis(label=chart.x_label), chart.columns) | {"showgrid": False}
    y = _axis(Axis(label=chart.y_label), chart.rows) | {"showgrid": False, "autorange": "reversed"}
    x.pop("range", None)
    y.pop("range", None)
    meta = {"columns": list(chart.columns), "rows": list(chart.rows), "x": chart.x_label, "y": chart.y_label}
    height = min(max(24 * len(chart.rows) + 90, 240), 640)
    return {"data": [trace], "layout": _layout(x=x, y=y, meta=meta) | {"height": height}}


def _axis(axis: Axis, categories: Sequence[str], values: Sequence[float] = ()) -> dict[str, Any]:
    own: dict[str, Any] = {
        "title": {
            "text": html.escape(axis.label, quote=False),
            "standoff": 8 if axis.label else 0,
            "font": {"size": 12, "color": FAINT_INK},
        },
        "automargin": True,
        "gridcolor": GRID,
        "linecolor": RULE,
        "zerolinecolor": RULE,
        "zerolinewidth": 1,
        "tickfont": {"size": 11, "color": FAINT_INK},
        "fixedrange": False,
    }
    if categories:
        ticks = [html.escape(_shortened(name), quote=False) for name in categories]
        return own | {
            "tickmode": "array",
            "tickvals": list(range(len(categories))),
            "ticktext": ticks,
            **({"tickangle": 0} if max(map(len, ticks)) <= 4 else {}),
            "range": [-0.5, len(categories) - 0.5],
            "zeroline": False,
            "showgrid": False,
        }
    if axis.scale == "log":
        return own | {"type": "log", "exponentformat": "power", "zeroline": False} | _log_ticks(values)
    return own | {"type": "linear", "nticks": 7}


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_TICK else f"{name[: _LONGEST_TICK - 1]}…"


def _layout(*, x: dict[str, Any], y: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    return {
        "xaxis": x,
        "yaxis": y,
        "meta": meta,
        "showlegend": False,
        "hovermode": "closest",
        "margin": {"l": 44, "r": 14, "t": 10, "b": 28},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 12, "color": INK},
        "hoverlabel": {"bgcolor": GROUND, "bordercolor": RULE, "align": "left", "font": {"size": 12, "color": INK}},
    }


def _sheer(colour: str, opacity: float) -> str:
    """A colour (#RRGGBB) that what lies behind it shines through."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
