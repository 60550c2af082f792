"""Which look each series and level of a chart has: methods their own, all else greys in the order of the chart."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.report.colours import Look, grey_look, method_look
from tunescope.report.content.chart import Series, XYChart


def looks_of(chart: XYChart, methods: Sequence[str]) -> dict[str, Look]:
    """Name of a series or level -> its look. Faint series look as the mean they stand behind.

    Raises:
        ValueError: If a series is a method's and does not say which, or the method is none of the study's.
    """
    looks: dict[str, Look] = {}
    greys: dict[str, None] = {}
    for series in chart.series:
        if series.role != "method":
            greys[mean_of(series, chart.series)] = None
        elif series.method is None:
            raise ValueError(f"chart {chart.id}: series '{series.name}' is a method's and does not say which")
        else:
            looks[series.name] = method_look(series.method, methods)
    names = dict.fromkeys([*greys, *(level.name for level in chart.levels)])
    looks |= {name: grey_look(place) for place, name in enumerate(names)}
    return looks | {
        series.name: looks[mean_of(series, chart.series)] for series in chart.series if series.role != "method"
    }


def mean_of(series: Series, all_series: Sequence[Series]) -> str:
    """The name of the series that a faint one stands behind: of its own name, else of its method; else its own name."""
    if not series.is_faint:
        return series.name
    plain = [other for other in all_series if not other.is_faint and other.role == series.role]
    same_name = [other.name for other in plain if other.name == series.name]
    same_method = [other.name for other in plain if series.method is not None and other.method == series.method]
    return next(iter([*same_name, *same_method]), series.name)
