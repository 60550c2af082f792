"""The family of a study: every comparison that its hypotheses stand for, and what is wrong with a hypothesis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from tunescope.study.hypothesis import PRIMARY, RUN_MEASURES, Hypothesis
from tunescope.study.spec import StudySpec
from tunescope.tasks.scores import SCORES
from tunescope.tasks.spec import TaskSpec

LEAST_BOUND = 0.001
"""A claim about less than this (a tenth of a point, or of a percent) is one of any difference at all, whose test is another."""


def family(study: StudySpec) -> tuple[Hypothesis, ...]:
    """The hypotheses a study declares; every pair of its methods, by each task's first score, where it declares none."""
    if study.compare:
        return study.compare
    names = [entry.name for entry in study.methods]
    # what is newer in the list against what stands before it
    return tuple(Hypothesis(methods=(second, first)) for first, second in itertools.combinations(names, 2))


def places(study: StudySpec, hypothesis: Hypothesis) -> Iterator[tuple[str, TaskSpec]]:
    """Base models and tasks that a hypothesis is about."""
    for model in study.base_models:
        if hypothesis.base_models is not None and model.name not in hypothesis.base_models:
            continue
        for task in _tasks(study, hypothesis):
            if hypothesis.measure in (PRIMARY, *RUN_MEASURES, *task.metrics):
                yield model.name, task


def measure_on(hypothesis: Hypothesis, task: TaskSpec) -> str:
    """The measure of a hypothesis on one task: `primary` is the task's first score."""
    return task.primary_metric if hypothesis.measure == PRIMARY else hypothesis.measure


def family_size(study: StudySpec) -> int:
    """Comparisons that Holm's correction is over, if none turns out not estimable."""
    return sum(1 for hypothesis in family(study) for _ in places(study, hypothesis))


def hypothesis_problems(study: StudySpec, hypothesis: Hypothesis) -> Iterator[tuple[str, str]]:
    """What is wrong with a hypothesis whose measure and names are known: (its key, what to mend)."""
    named = _tasks(study, hypothesis) if hypothesis.tasks is not None else []
    for task in named:
        if hypothesis.measure not in (PRIMARY, *RUN_MEASURES, *task.metrics):
            yield (
                "measure",
                f"task {task.name} has no score {hypothesis.measure} (it has {', '.join(task.metrics)}). Add it to the task's "
                "metrics, or take the task out of this hypothesis",
            )
    for key in ("within", "not_worse_by", "lower_by", "higher_by"):
        bound = getattr(hypothesis, key)
        if bound is None:
            continue
        scores = dict.fromkeys(measure_on(hypothesis, task) for _, task in places(study, hypothesis))
        ranges = {name: SCORES[name].range for name in scores if name in SCORES}
        if key in ("within", "not_worse_by"):
            for name, (low, high) in ranges.items():
                if bound >= high - low:
                    yield (
                        key,
                        f"{bound:g} is no less than {name} can differ at all ({low:g} to {high:g}), so it claims nothing. It counts "
                        "in the score's own unit: 0.03 is 3 points",
                    )
        is_of_shares = any(high != float("inf") for _, high in ranges.values())
        if bound < LEAST_BOUND and (is_of_shares or key in ("lower_by", "higher_by")):
            yield (
                key,
                f"{bound:g} is less than {LEAST_BOUND:g}, so it claims hardly more than that there is a difference. Leave {key} "
                "out: a difference is tested with permutations too",
            )


def repeated_hypotheses(study: StudySpec) -> Iterator[tuple[int, str]]:
    """Hypotheses that ask what an earlier one asks: (number in `compare`, what to mend)."""
    seen: dict[tuple[object, ...], int] = {}
    for index, hypothesis in enumerate(study.compare):
        for model, task in places(study, hypothesis):
            key = (model, task.name, measure_on(hypothesis, task), *_claim(hypothesis))
            first = seen.setdefault(key, index)
            if first != index:
                yield (
                    index,
                    f"asks of {task.name} what compare[{first}] asks, and Holm's correction would charge for both. Drop one",
                )
                break


def _tasks(study: StudySpec, hypothesis: Hypothesis) -> Sequence[TaskSpec]:
    return [task for task in study.tasks if hypothesis.tasks is None or task.name in hypothesis.tasks]


def _claim(hypothesis: Hypothesis) -> tuple[object, ...]:
    """Equal for hypotheses that ask the same; which method is named first does not matter to a difference or an equivalence."""
    claim = (hypothesis.within, hypothesis.not_worse_by, hypothesis.lower_by, hypothesis.higher_by)
    is_symmetric = claim[1:] == (None, None, None)
    return (tuple(sorted(hypothesis.methods)) if is_symmetric else hypothesis.methods, *claim)
