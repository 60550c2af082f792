"""Methods ranked across tasks: Friedman's test, and how far two average ranks must lie apart (Demsar, 2006).

Letters: N tasks (blocks), k methods, R_j the average rank of method j, 1 the best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunescope.stats.checks import check_share
from tunescope.stats.estimate import TestResult


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Average ranks and what may be read from them."""

    methods: tuple[str, ...]
    """Best average rank first; equal ones in the order given."""
    average_ranks: tuple[float, ...]
    """Of `methods`, 1 the best; methods tied on a task share the mean of their ranks."""
    num_tasks: int
    friedman: TestResult
    critical_difference: float | None
    """Average ranks closer than this are not told apart at `alpha`; None where not estimable."""
    groups: tuple[tuple[str, ...], ...]
    """Each largest set of neighbours that are not told apart, two methods or more; empty where there is no critical difference."""
    alpha: float
    method: str
    reason: str = ""
    """Why there is no critical difference."""


def rank_methods(
    scores: Sequence[Sequence[float]] | np.ndarray,
    methods: Sequence[str],
    *,
    higher_is_better: bool = True,
    alpha: float = 0.05,
) -> Ranking:
    """Ranks methods on each task and tests whether their average ranks differ by more than chance.

    Friedman's chi-square with the correction for ties (Friedman, 1937, doi:10.1080/01621459.1937.10503522) on k - 1 degrees
    of freedom; Nemenyi's critical difference q sqrt(k (k + 1) / (6 N)), q the studentized range's upper alpha quantile for k
    means and infinite degrees of freedom, over sqrt(2) (Demsar, 2006, JMLR 7, 1-30). A task counts once, whatever its seeds:
    give its mean score. Both are approximations for many tasks; below about 10 of them little can be told apart.

    Args:
        scores: (N, k) one score per task and method; a row's scores are compared with each other only.
        methods: k names.
        higher_is_better: Whether rank 1 is the highest score.
        alpha: Chance of telling apart any two methods that are equal.

    Returns:
        Average ranks always; the test with three methods or more and two tasks or more, the critical difference with two
        methods or more and two tasks or more; else their reasons. `smallest_p` is the p of N tasks that all agree.

    Raises:
        ValueError: If the shape is not (N, k), a score is not finite, names repeat, or `alpha` is not between 0 and 1.

    Example:
        >>> rank_methods([[0.9, 0.8], [0.7, 0.6]], ["lora", "full"]).average_ranks
        (1.0, 2.0)
    """
    table = np.asarray(scores, dtype=np.float64)
    names = tuple(methods)
    if table.ndim != 2 or table.shape[0] == 0 or table.shape[1] != len(names) or not names:
        raise ValueError(f"rank_methods: scores must be (tasks, {len(names)} methods), got shape {table.shape}.")
    if not np.isfinite(table).all():
        task, method = (int(index[0]) for index in np.nonzero(~np.isfinite(table)))
        raise ValueError(f"rank_methods: the score of {names[method]!r} on task {task} is not a finite number.")
    if len(set(names)) != len(names):
        raise ValueError(f"rank_methods: each method must be named once, got {', '.join(names)}.")
    check_share("rank_methods", "alpha", alpha)
    from scipy.stats import rankdata

    num_tasks, num_methods = table.shape
    ranks = rankdata(-table if higher_is_better else table, axis=1)
    average = ranks.mean(axis=0)
    order = np.argsort(average, kind="stable")
    reason = _too_few(num_tasks, num_methods, least_methods=2)
    critical = None
    if not reason:
        from scipy.stats import studentized_range

        quantile = float(studentized_range.ppf(1.0 - alpha, num_methods, np.inf)) / math.sqrt(2.0)
        critical = quantile * math.sqrt(num_methods * (num_methods + 1) / (6.0 * num_tasks))
    return Ranking(
        methods=tuple(names[index] for index in order),
        average_ranks=tuple(float(average[index]) for index in order),
        num_tasks=num_tasks,
        friedman=_friedman(ranks),
        critical_difference=critical,
        groups=() if critical is None else _groups([names[index] for index in order], average[order], critical),
        alpha=alpha,
        method="average ranks, Nemenyi's critical difference",
        reason=reason,
    )


def _friedman(ranks: np.ndarray) -> TestResult:
    num_tasks, num_methods = ranks.shape
    method = "Friedman's chi-square test"
    reason = _too_few(num_tasks, num_methods, least_methods=3)
    if reason:
        return TestResult(p_value=None, method=method, num_units=num_tasks, reason=reason)
    from scipy.special import chdtrc

    centred = ranks - (num_methods + 1) / 2.0
    spread = float((centred**2).sum())
    if spread == 0.0:
        return TestResult(
            p_value=None, method=method, num_units=num_tasks, reason="all methods score the same on every task"
        )
    # Untied, spread is N k (k^2 - 1) / 12, and this is Friedman's own formula; ties lower it, which corrects for them.
    statistic = num_methods * (num_methods - 1) * float((centred.sum(axis=0) ** 2).sum()) / (num_methods * spread)
    return TestResult(
        p_value=float(chdtrc(num_methods - 1, statistic)),
        smallest_p=float(chdtrc(num_methods - 1, num_tasks * (num_methods - 1))),
        method=method,
        num_units=num_tasks,
    )


def _too_few(num_tasks: int, num_methods: int, *, least_methods: int) -> str:
    if num_methods < least_methods:
        return f"{num_methods} method{'s' if num_methods != 1 else ''}; {least_methods} or more are needed"
    return "" if num_tasks >= 2 else "1 task; 2 or more are needed"


def _groups(names: Sequence[str], ranks: np.ndarray, critical: float) -> tuple[tuple[str, ...], ...]:
    """Runs of neighbours whose ranks span less than the critical difference, those within a longer run left out."""
    groups: list[tuple[str, ...]] = []
    reached = 0
    for first in range(len(names)):
        end = int(np.searchsorted(ranks, ranks[first] + critical, side="left"))
        if end - first >= 2 and end > reached:
            groups.append(tuple(names[first:end]))
            reached = end
    return tuple(groups)
