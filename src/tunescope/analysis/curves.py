"""A plan and a store -> how each run learnt: its loss and its selection scores by step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunescope.analysis.collect import state_of
from tunescope.store import Store
from tunescope.study.plan import Plan, RunCell
from tunescope.tasks.scores import SCORES
from tunescope.training.metric_log import LOG_NAME, read_log

MOST_POINTS = 200
"""Of a loss curve; longer ones are averaged in bins of equal numbers of steps."""


@dataclass(frozen=True, kw_only=True)
class LossPoint:
    """The mean training loss of one or several steps."""

    first_step: int
    """Steps are counted from 1."""
    last_step: int
    step: float
    """Middle of both: where the point is drawn."""
    loss: float
    """Mean over the steps of the loss per example, nats for classification and questions, squared error for regression."""


@dataclass(frozen=True, kw_only=True)
class SelectionPoint:
    """A scoring of the selection rows on the way."""

    step: int
    score: float | None
    """In the metric's own direction and unit; None where it is not defined."""
    standard_error: float | None
    note: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One finished run."""

    base_model: str
    task: str
    method: str
    seed: int
    metric: str
    """Of the selection scores: the task's primary score."""
    loss: tuple[LossPoint, ...]
    is_binned: bool
    selection: tuple[SelectionPoint, ...]
    num_steps: int
    kept_step: int
    """The step whose weights were kept."""
    stopped_early: bool
    job: str
    """Id of the training."""


def collect_curves(plan: Plan, store: Store) -> list[Curve]:
    """The learning curves of every run whose training is done, in the plan's order.

    The longest run of a method on a task sets the width of the bins of all of them: seeds that stopped early keep their points
    at the others' steps, so that a mean over seeds can be taken.
    """
    done = [run for run in plan.runs if state_of(run.train, store, LOG_NAME)[0] == "done"]
    logs = [read_log(store.read_from(run.train.kind, run.train.id, LOG_NAME) / LOG_NAME) for run in done]
    longest: dict[tuple[str, str, str], int] = {}
    for run, entries in zip(done, logs, strict=True):
        place = (run.base_model, run.task.name, run.method)
        longest[place] = max(longest.get(place, 0), len(_losses(entries)))
    return [
        _curve(run, store, entries, longest[run.base_model, run.task.name, run.method])
        for run, entries in zip(done, logs, strict=True)
    ]


def binned(
    steps: Sequence[tuple[int, float]], most: int = MOST_POINTS, *, longest: int | None = None
) -> tuple[LossPoint, ...]:
    """Losses by step as at most `most` points: means over ceil(n / most) steps each, the last one may be of fewer.

    Args:
        steps: Step and its loss, in order of step.
        most: Of points, 1 or more.
        longest: n where another curve that this one is to be drawn with has more steps; else it is their number here.

    Raises:
        ValueError: If `most` is less than 1.
    """
    if most < 1:
        raise ValueError(f"binned: most must be 1 or more, got {most}")
    width = max(1, math.ceil(max(len(steps), longest or 0) / most))
    return tuple(_point(steps[start : start + width]) for start in range(0, len(steps), width))


def _point(steps: Sequence[tuple[int, float]]) -> LossPoint:
    first, last = steps[0][0], steps[-1][0]
    return LossPoint(
        first_step=first,
        last_step=last,
        step=(first + last) / 2,
        loss=math.fsum(loss for _, loss in steps) / len(steps),
    )


def _losses(entries: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    return [(int(entry["step"]), float(entry["loss"])) for entry in entries if entry["event"] == "step"]


def _curve(run: RunCell, store: Store, entries: Sequence[Mapping[str, Any]], longest: int) -> Curve:
    """One run's curve; `longest` is the number of steps of the longest run that it is drawn with."""
    job = run.train
    facts: dict[str, Any] = dict(store.record(job.kind, job.id).facts)
    metric = run.task.primary_metric
    return Curve(
        base_model=run.base_model,
        task=run.task.name,
        method=run.method,
        seed=run.seed,
        metric=metric,
        loss=binned(_losses(entries), longest=longest),
        is_binned=longest > MOST_POINTS,
        selection=tuple(_scorings(entries, sign=1.0 if SCORES[metric].higher_is_better else -1.0)),
        num_steps=int(facts["num_steps"]),
        kept_step=int(facts["kept_step"]),
        stopped_early=bool(facts["stopped_early"]),
        job=job.id,
    )


def _scorings(entries: Sequence[Mapping[str, Any]], *, sign: float) -> Iterator[SelectionPoint]:
    """The scorings of the selection rows; the log has their score turned so that higher is better."""
    for entry in entries:
        if entry["event"] == "selection":
            score = entry["score"]
            yield SelectionPoint(
                step=int(entry["step"]),
                score=None if score is None else sign * float(score),
                standard_error=entry.get("standard_error"),
                note=str(entry.get("note", "")),
            )
