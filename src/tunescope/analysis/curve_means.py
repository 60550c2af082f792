"""Learning curves of single runs -> the mean over a method's seeds, at the steps that all of them have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunescope.analysis.curves import Curve


@dataclass(frozen=True, kw_only=True)
class CurveMean:
    """How one method learnt one task: the mean over its seeds."""

    base_model: str
    task: str
    method: str
    num_seeds: int
    loss: tuple[tuple[float, float], ...]
    """(step, loss), at steps that every seed has."""
    selection: tuple[tuple[int, float], ...]
    """(step, score), at steps at which every seed has one."""


def curve_means(curves: Sequence[Curve]) -> list[CurveMean]:
    """One entry per base model, task and method, in the curves' order."""
    grouped: dict[tuple[str, str, str], list[Curve]] = {}
    for curve in curves:
        grouped.setdefault((curve.base_model, curve.task, curve.method), []).append(curve)
    return [
        CurveMean(
            base_model=base_model,
            task=task,
            method=method,
            num_seeds=len(own),
            loss=tuple(_common([{point.step: point.loss for point in curve.loss} for curve in own])),
            selection=tuple(
                (int(step), score)
                for step, score in _common(
                    [
                        {float(point.step): point.score for point in curve.selection if point.score is not None}
                        for curve in own
                    ]
                )
            ),
        )
        for (base_model, task, method), own in grouped.items()
    ]


def _common(curves: Sequence[dict[float, float]]) -> list[tuple[float, float]]:
    """Means at the steps that every curve has."""
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    return [(step, math.fsum(curve[step] for curve in curves) / len(curves)) for step in steps]
