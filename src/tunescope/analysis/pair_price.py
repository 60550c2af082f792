"""What one method costs beside another on one task: trained parameters, training time and memory, as ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunescope.analysis.collect import ResultRow


@dataclass(frozen=True, kw_only=True)
class PairPrice:
    """A's mean over seeds divided by B's; None where either is unknown or 0."""

    trainable_parameters: float | None
    train_s: float | None
    peak_memory_gib: float | None


def pair_price(rows: Sequence[ResultRow], base_model: str, task: str, a: str, b: str) -> PairPrice:
    """The ratios of two methods on one base model and task, over their runs that are done.

    Args:
        rows: As `collect` gives them.
        base_model: As the study names it.
        task: Its name.
        a: The method whose cost stands above the line.
        b: The one below it.
    """
    own = {method: _runs(rows, base_model, task, method) for method in (a, b)}

    def ratio(read: Callable[[ResultRow], float | None]) -> float | None:
        means = []
        for method in (a, b):
            known = [value for row in own[method] if (value := read(row)) is not None]
            means.append(statistics.fmean(known) if known else None)
        return means[0] / means[1] if means[0] and means[1] else None

    return PairPrice(
        trainable_parameters=ratio(lambda row: row.trainable_parameters),
        train_s=ratio(lambda row: row.train_s),
        peak_memory_gib=ratio(lambda row: row.peak_memory_gib),
    )


def _runs(rows: Sequence[ResultRow], base_model: str, task: str, method: str) -> list[ResultRow]:
    """One row per run that is done, whichever score it is of."""
    place = ("run", "done", base_model, task, method)
    found = {row.job: row for row in rows if (row.kind, row.state, row.base_model, row.task, row.method) == place}
    return list(found.values())
