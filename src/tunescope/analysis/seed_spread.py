"""Finished runs of a study -> how far its scores lie apart between seeds, for a plan that need not assume it."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence

from tunescope.analysis.collect import ResultRow
from tunescope.study.detectable import SeedSpread


def measured_spread(rows: Sequence[ResultRow]) -> dict[tuple[str, str], SeedSpread]:
    """By task and score, the standard deviation over seeds within a method and base model, pooled over these.

    sqrt(sum of (S - 1) variance / sum of (S - 1)) over methods and base models with S = 2 finished seeds or more; tasks and
    scores without any are left out.

    Args:
        rows: As `collect` gives them.
    """
    arms: defaultdict[tuple[str, str], defaultdict[tuple[str | None, str], list[float]]]
    arms = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.kind == "run" and row.value is not None:
            arms[row.task, row.metric][row.base_model, row.method].append(row.value)
    found = {}
    for place, by_method in arms.items():
        known = [values for values in by_method.values() if len(values) > 1]
        df = sum(len(values) - 1 for values in known)
        if df:
            squares = math.fsum((len(values) - 1) * statistics.variance(values) for values in known)
            found[place] = SeedSpread(sd=math.sqrt(squares / df), num_runs=sum(map(len, known)), df=df)
    return found
