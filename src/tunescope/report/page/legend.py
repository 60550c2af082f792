"""What a chart's legend lists, and how each entry looks: the page writes it, the traces follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunescope.report.colours import Look, grey_look
from tunescope.report.content.chart import XYChart
from tunescope.report.figures.looks import looks_of, mean_of


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a legend, with the series that it switches on and off."""

    kind: Literal["series", "level", "band"]
    name: str
    look: Look
    method: str | None = None
    has_line: bool = False
    has_mark: bool = False
    series: tuple[int, ...] = field(default=())
    """Places in the chart's `series`."""


def legend(chart: XYChart, methods: Sequence[str]) -> tuple[Entry, ...]:
    """Entries in the order they are listed: methods, other series, then levels, then bands.

    Faint series, the seeds behind a mean, go with the entry of their method where there is one.

    Args:
        chart: Whose series are named.
        methods: Of the study, in its order: a method's place gives its look.

    Raises:
        ValueError: If a series is of a method that is none of the study's.
    """
    looks = looks_of(chart, methods)
    owners: dict[str, list[int]] = {}
    for place, series in enumerate(chart.series):
        if not series.is_faint:
            owners.setdefault(series.name, []).append(place)
    for place, series in enumerate(chart.series):
        if series.is_faint:
            owners.setdefault(mean_of(series, chart.series), []).append(place)
    is_other = {name: chart.series[places[0]].role != "method" for name, places in owners.items()}
    entries: list[Entry] = []
    for name, places in sorted(owners.items(), key=lambda owner: is_other[owner[0]]):
        first = chart.series[places[0]]
        main = [chart.series[place] for place in places if chart.series[place].is_faint == first.is_faint]
        entries.append(
            Entry(
                kind="series",
                name=name,
                look=looks[name],
                method=first.method,
                has_line=any(series.style != "marks" for series in main),
                has_mark=any("marks" in series.style for series in main),
                series=tuple(places),
            )
        )
    for level in chart.levels:
        name = f"{level.name}: {level.value:.4g}"
        entries.append(Entry(kind="level", name=name, look=looks[level.name], has_line=True))
    for band in chart.bands:
        name = f"{band.name}: {band.low:.4g} to {band.high:.4g}"
        entries.append(Entry(kind="band", name=name, look=grey_look(0)))
    return tuple(entries)
