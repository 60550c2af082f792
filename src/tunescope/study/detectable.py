"""What a study of this size could find, before it costs anything: per task and score, from its rows and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunescope.stats.power import Assumptions, Power, power
from tunescope.stats.spread import Spread, accuracy_spread, f1_spread, matthews_spread
from tunescope.study.family import family_size
from tunescope.study.hypothesis import PRIMARY
from tunescope.study.spec import StudySpec
from tunescope.tasks.spec import TaskSpec

ASSUMED_ACCURACY = 0.85
"""Where the study does not say what it expects."""
ASSUMED_POSITIVE_SHARE = 0.5
_OF_QUESTIONS = "squad_"


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """How far a score came out apart between the seeds of finished runs."""

    sd: float
    """Standard deviation over seeds within a method, pooled over methods and base models, in the score's unit."""
    num_runs: int
    df: int
    """Runs less the methods and base models that they are of: what the standard deviation rests on."""


@dataclass(frozen=True, kw_only=True)
class Detectable:
    """What two methods' difference on one task and score could be told from, in the score's own unit."""

    task: str
    metric: str
    num_examples: int | None
    """Report rows; None where the task does not say."""
    margin: float | None
    """The least that a hypothesis of the study speaks of; None where none does."""
    paired: Power | None
    """With the same seeds in both arms; None where `reason` says why there is none."""
    unpaired: Power | None
    """With seeds that have nothing to do with each other."""
    family: int = 1
    """Comparisons of the study, over which Holm corrects."""
    measured: SeedSpread | None = None
    """What the seeds' spread was taken to be; None where it was assumed."""
    reason: str = ""


def what_it_could_find(
    study: StudySpec, measured: Mapping[tuple[str, str], SeedSpread] | None = None
) -> list[Detectable]:
    """Each task's primary score, and each other score that a hypothesis names; none where there is one method only.

    Args:
        study: What is planned.
        measured: By task and score, the spread over seeds of runs that there are; where absent it is assumed.
    """
    if len(study.methods) < 2:
        return []
    known, size = measured or {}, family_size(study)
    return [
        _detectable(study, task, metric, size, known.get((task.name, metric)))
        for task in study.tasks
        for metric in _metrics(study, task)
    ]


def _metrics(study: StudySpec, task: TaskSpec) -> Iterator[str]:
    named = [one.measure for one in study.compare if one.tasks is None or task.name in one.tasks]
    yield from dict.fromkeys([task.primary_metric, *(name for name in named if name in task.metrics)])


def _detectable(study: StudySpec, task: TaskSpec, metric: str, family: int, measured: SeedSpread | None) -> Detectable:
    margin = _margin(study, task, metric)
    spread = _spread(study, task, metric)
    num_examples = None
    if task.expected is not None:
        num_examples = min(task.expected.num_report, task.max_report or task.expected.num_report)
    reason = ""
    if spread is None:
        reason = f"how much one example moves {metric} is not known before the first run"
    elif num_examples is None or num_examples < 2:
        reason = f"task {task.name} does not say how many rows it reports on (expected: num_report)"
    if reason or spread is None:
        return Detectable(
            task=task.name,
            metric=metric,
            num_examples=num_examples,
            margin=margin,
            paired=None,
            unpaired=None,
            family=family,
            measured=measured,
            reason=reason,
        )
    assumptions = Assumptions() if measured is None else Assumptions(seed_sd=measured.sd)
    paired, unpaired = (
        power(
            design,
            num_seeds=len(study.seeds),
            num_examples=num_examples,
            spread=spread,
            assumptions=assumptions,
            margin=margin,
            family=family,
        )
        for design in ("paired", "unpaired_seeds")
    )
    return Detectable(
        task=task.name,
        metric=metric,
        num_examples=num_examples,
        margin=margin,
        paired=paired,
        unpaired=unpaired,
        family=family,
        measured=measured,
    )


def _margin(study: StudySpec, task: TaskSpec, metric: str) -> float | None:
    names = {metric, PRIMARY} if metric == task.primary_metric else {metric}
    margins = [
        margin
        for one in study.compare
        if one.measure in names and (one.tasks is None or task.name in one.tasks)
        for margin in (one.within, one.not_worse_by)
        if margin is not None
    ]
    return min(margins, default=None)


def _spread(study: StudySpec, task: TaskSpec, metric: str) -> Spread | None:
    """What one example does to a score, at the value the study expects of it."""
    bands = [(band.low + band.high) / 2 for band in study.expected if (band.task, band.metric) == (task.name, metric)]
    middle = sum(bands) / len(bands) if bands else ASSUMED_ACCURACY
    assumed = min(max(middle, 0.01), 0.99)
    if metric == "accuracy" or metric.startswith(_OF_QUESTIONS):
        return accuracy_spread(assumed)
    if metric == "f1":
        return f1_spread(ASSUMED_ACCURACY, ASSUMED_POSITIVE_SHARE)
    if metric == "matthews" and task.kind == "classification" and len(task.labels) == 2:
        return matthews_spread(ASSUMED_ACCURACY, ASSUMED_POSITIVE_SHARE)
    return None
