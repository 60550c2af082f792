"""A plan and a store -> each method's score with its interval, every seed behind it, and what it is to be read against."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunescope.analysis.arms import arm_of_runs, twins
from tunescope.analysis.collect import ResultRow, State
from tunescope.inference.example_scores import score_of
from tunescope.stats.crossed import crossed_mean
from tunescope.stats.estimate import Estimate
from tunescope.store import Store
from tunescope.study.plan import Plan, RunCell
from tunescope.tasks.scores import SCORES
from tunescope.tasks.spec import TaskSpec


@dataclass(frozen=True, kw_only=True)
class SeedScore:
    """One run's score."""

    seed: int
    value: float | None
    """In the metric's own unit; None unless `state` is done and the score is defined."""
    state: State
    reason: str
    """Why there is no value."""
    flags: str
    """What is odd about the run, in words; empty where nothing is."""
    job: str
    """Id of the evaluation."""
    train_job: str


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Where the study expects a mean to lie."""

    low: float
    high: float
    is_inside: bool | None
    """None where there is no mean."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One method's score on one task under one base model, over its seeds."""

    base_model: str
    task: str
    metric: str
    method: str
    is_primary: bool
    """Whether it is the task's first score, which comparisons are made by."""
    higher_is_better: bool
    estimate: Estimate
    """Mean over the finished seeds with its interval; `method` names the interval, `num_seeds` and `num_examples` what it is
    over, `reason` why there is none."""
    sd: float | None
    """Standard deviation between finished seeds (n - 1); None with fewer than two."""
    num_seeds: int
    """Runs with a value."""
    num_planned: int
    """Runs that the study asks for."""
    num_failed: int
    seeds: tuple[SeedScore, ...]
    """Every seed of the study, in its order, those without a value too."""
    expected: Expected | None


@dataclass(frozen=True, kw_only=True)
class Level:
    """What is reached without fine-tuning, or what others published: a line beside the methods."""

    base_model: str | None
    """None where it does not depend on one."""
    task: str
    metric: str
    name: str
    """majority, random, zero_shot or reference."""
    seed: int | None
    """Of one random draw, which is there only where the expectation has no closed form."""
    value: float | None
    source: str
    """Of a reference, who published it; else what kind of number it is, or why there is none."""
    state: State
    job: str


def collect_quality(plan: Plan, store: Store, rows: Sequence[ResultRow]) -> list[Quality]:
    """Every score of every method, task and base model of a study, in its order; those without a finished run included.

    The interval is of the crossed model over seeds x examples where the predictions are there (with one seed: over examples
    alone), and says so in `Estimate.method`. Seeds that ended with identical weights count as no sample: no interval.

    Args:
        plan: Of the study.
        store: Its predictions are read.
        rows: As `collect` gives them.
    """
    scored: dict[tuple[str, str, str, str], list[ResultRow]] = {}
    for row in rows:
        if row.kind == "run":
            scored.setdefault((str(row.base_model), row.task, row.metric, row.method), []).append(row)
    found = []
    for model in plan.study.base_models:
        for task in plan.study.tasks:
            for metric in task.metrics:
                for entry in plan.study.methods:
                    own = scored[model.name, task.name, metric, entry.name]
                    runs = [
                        run
                        for run in plan.runs
                        if (run.base_model, run.task.name, run.method) == (model.name, task.name, entry.name)
                    ]
                    found.append(_quality(plan, store, task, metric, own, runs))
    return found


def collect_levels(rows: Sequence[ResultRow]) -> list[Level]:
    """Every baseline and published figure; of random guesses their expectation where it has a closed form, else each draw."""
    closed = {
        (row.task, row.metric)
        for row in rows
        if (row.kind, row.method, row.seed) == ("baseline", "random", None) and row.value is not None
    }
    return [
        Level(
            base_model=row.base_model,
            task=row.task,
            metric=row.metric,
            name=row.method,
            seed=row.seed,
            value=row.value,
            source=row.reason,
            state=row.state,
            job=row.job,
        )
        for row in rows
        if row.kind == "baseline" and (row.seed is None or (row.task, row.metric) not in closed)
    ]


def _quality(
    plan: Plan, store: Store, task: TaskSpec, metric: str, rows: Sequence[ResultRow], runs: Sequence[RunCell]
) -> Quality:
    first = rows[0]
    values = [row.value for row in rows if row.value is not None]
    scored = [run for run, row in zip(runs, rows, strict=True) if row.value is not None]
    estimate = _estimate(store, task, metric, values, scored, [row.reason for row in rows if row.value is None])
    return Quality(
        base_model=str(first.base_model),
        task=task.name,
        metric=metric,
        method=first.method,
        is_primary=metric == task.primary_metric,
        higher_is_better=SCORES[metric].higher_is_better,
        estimate=estimate,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        num_seeds=len(values),
        num_planned=len(rows),
        num_failed=sum(row.state == "failed" for row in rows),
        seeds=tuple(
            SeedScore(
                seed=run.seed,
                value=row.value,
                state=row.state,
                reason=row.reason,
                flags=row.flags,
                job=row.job,
                train_job=run.train.id,
            )
            for run, row in zip(runs, rows, strict=True)
        ),
        expected=_expected(plan, task.name, metric, first.method, estimate.value),
    )


def _estimate(
    store: Store,
    task: TaskSpec,
    metric: str,
    values: Sequence[float],
    runs: Sequence[RunCell],
    reasons: Sequence[str],
) -> Estimate:
    """The mean over the finished seeds, and the interval that their predictions carry."""
    if not values:
        return Estimate(value=None, num_seeds=0, reason=reasons[0])
    mean = math.fsum(values) / len(values)
    alike = twins(runs, store)
    if alike:
        return Estimate(value=mean, num_seeds=len(values), reason=alike)
    try:
        arm = arm_of_runs(runs, store, task, metric)
        influence = score_of(task, metric).influence(arm.components)
    except ValueError as error:  # seeds on other examples, or a score that is 0/0 for one
        return Estimate(value=mean, num_seeds=len(values), reason=str(error))
    return _within_range(replace(crossed_mean(influence).estimate, value=mean), metric)  # the same but for rounding


def _within_range(estimate: Estimate, metric: str) -> Estimate:
    """The interval without what lies outside the values that the score can have."""
    lowest, highest = SCORES[metric].range
    if estimate.ci_low is None or estimate.ci_high is None:
        return estimate
    low, high = max(estimate.ci_low, lowest), min(estimate.ci_high, highest)
    if (low, high) == (estimate.ci_low, estimate.ci_high):
        return estimate
    return replace(estimate, ci_low=low, ci_high=high, method=f"{estimate.method}, cut at the end of the score's range")


def _expected(plan: Plan, task: str, metric: str, method: str, mean: float | None) -> Expected | None:
    for band in plan.study.expected:
        if (band.task, band.metric, band.method) == (task, metric, method):
            is_inside = None if mean is None else band.low <= mean <= band.high
            return Expected(low=band.low, high=band.high, is_inside=is_inside)
    return None
