"""Means and single seeds -> what a chart draws of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from tunescope.report.content.chart import Point, Series
from tunescope.stats.estimate import Estimate

Style = Literal["marks", "line", "line and marks", "steps"]


def estimate_point(
    x: float | str, estimate: Estimate, *, slope: float = 1.0, text: str = "", anchor: str = ""
) -> Point | None:
    """An estimate with its interval as one mark; None where there is no value.

    Args:
        x: Where it stands.
        estimate: What is drawn.
        slope: 100 for shares that are drawn in percent, -1 to turn a score round.
        text: What stands beside it.
        anchor: Where its rows are.
    """
    if estimate.value is None:
        return None
    ends: tuple[float, ...] = ()
    if estimate.ci_low is not None and estimate.ci_high is not None:
        ends = tuple(sorted((slope * estimate.ci_low, slope * estimate.ci_high)))
    return Point(
        x=x,
        y=slope * estimate.value,
        low=ends[0] if ends else None,
        high=ends[1] if ends else None,
        text=text,
        anchor=anchor,
    )


def method_series(method: str, points: Iterable[Point | None], *, style: Style = "marks") -> list[Series]:
    """A method's means; nothing where there are none."""
    known = tuple(point for point in points if point is not None)
    return [Series(name=method, points=known, method=method, style=style)] if known else []


def seed_series(
    method: str | None, name: str, seed: int | None, points: Sequence[Point], *, style: Style = "marks"
) -> list[Series]:
    """One run behind its method's mean; nothing where it has no points."""
    told = name if seed is None else f"{name} seed {seed}"
    role: Literal["method", "control"] = "control" if method is None else "method"
    if not points:
        return []
    return [Series(name=told, points=tuple(points), role=role, method=method, style=style, is_faint=True)]


def control_series(name: str, points: Iterable[Point | None], *, style: Style = "line and marks") -> list[Series]:
    """A control, in grey; nothing where there are no points."""
    known = tuple(point for point in points if point is not None)
    return [Series(name=name, points=known, role="control", style=style)] if known else []
