"""The ids of a page: each there once, each link leading to one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tunescope.report.content.chart import XYChart
from tunescope.report.content.section import Report

OWN_IDS = (
    "top",
    "main",
    "contents",
    "verdicts",
    "verdicts-title",
    "undecided",
    "undecided-title",
    "files",
    "plotly-packed",
    "examples-packed",
    "page-facts",
    "page-said",
)
"""Of the page itself; no section, table, row or chart may take one."""


def ids(report: Report) -> Iterator[str]:
    """Every id on the page, in no order of note."""
    yield from OWN_IDS
    for section in report.sections:
        yield from (section.id, f"{section.id}-title")
        for chart in section.charts:
            yield from (chart.id, f"{chart.id}-title", f"{chart.id}-numbers")
        for table in section.tables:
            yield from (table.id, f"{table.id}-caption")
            yield from (row.id for row in table.rows if row.id)


def anchors(report: Report) -> Iterator[str]:
    """Every id that something on the page leads to."""
    sentences = [*report.summary, *report.verdicts, *report.undecided]
    for section in report.sections:
        sentences.extend(section.sentences)
        for chart in section.charts:
            if isinstance(chart, XYChart):
                yield from (point.anchor for series in chart.series for point in series.points if point.anchor)
        for table in section.tables:
            yield from (cell.anchor for row in table.rows for cell in row.cells if cell.anchor)
    yield from (sentence.anchor for sentence in sentences if sentence.anchor)


def check_ids(report: Report) -> None:
    """Raises AssertionError if an id is there twice, or a link leads nowhere: the content is wrong then, not its reader."""
    known = Counter(ids(report))
    twice = sorted(name for name, count in known.items() if count > 1)
    assert not twice, f"ids that are on the page more than once: {', '.join(twice[:10])}"
    lost = sorted(set(anchors(report)) - known.keys())
    assert not lost, f"anchors that lead nowhere: {', '.join(lost[:10])}"
