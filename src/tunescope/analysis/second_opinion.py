"""The same question asked another way: a mixed model over tasks, and methods ranked across tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunescope.analysis.collect import ResultRow
from tunescope.stats.mixed import MixedModel, mixed_model
from tunescope.stats.ranking import Ranking, rank_methods
from tunescope.study.plan import Plan
from tunescope.tasks.scores import SCORES


@dataclass(frozen=True, kw_only=True)
class SecondOpinion:
    """What the runs of one base model say together, over the tasks whose primary score is a share of one."""

    base_model: str
    tasks: tuple[str, ...]
    mixed: MixedModel
    ranking: Ranking
    lines: tuple[str, ...]
    """The same in words."""


def second_opinions(plan: Plan, rows: Sequence[ResultRow]) -> list[SecondOpinion]:
    """For each base model with two methods and two tasks or more; exploratory, whatever the study declares.

    Only tasks with every run there and a primary score that is a share of one take part: points are added up across tasks.

    Args:
        plan: Of the study.
        rows: As `collect` gives them.
    """
    methods = [entry.name for entry in plan.study.methods]
    found = []
    for model in plan.study.base_models:
        scores: dict[tuple[str, str, int], float] = {}
        tasks = []
        for task in plan.study.tasks:
            if SCORES[task.primary_metric].range not in ((0.0, 1.0), (-1.0, 1.0)):
                continue
            own = [
                row
                for row in rows
                if (row.kind, row.base_model, row.task, row.metric)
                == ("run", model.name, task.name, task.primary_metric)
            ]
            if not own or any(row.value is None for row in own):
                continue
            tasks.append(task.name)
            scores |= {(row.method, task.name, row.seed or 0): row.value or 0.0 for row in own}
        if len(methods) > 1 and len(tasks) > 1:
            found.append(_opinion(model.name, methods, tasks, scores))
    return found


def _opinion(
    base_model: str, methods: Sequence[str], tasks: Sequence[str], scores: dict[tuple[str, str, int], float]
) -> SecondOpinion:
    mixed = mixed_model(
        list(scores.values()), [key[0] for key in scores], [key[1] for key in scores], [key[2] for key in scores]
    )
    means = [
        [
            _mean([value for (one, where, _), value in scores.items() if (one, where) == (method, task)])
            for method in methods
        ]
        for task in tasks
    ]
    ranking = rank_methods(means, methods)
    return SecondOpinion(
        base_model=base_model,
        tasks=tuple(tasks),
        mixed=mixed,
        ranking=ranking,
        lines=tuple(_lines(base_model, len(tasks), mixed, ranking)),
    )


def _lines(base_model: str, num_tasks: int, mixed: MixedModel, ranking: Ranking) -> list[str]:
    short = base_model.rsplit("/", 1)[-1]
    if mixed.reason:
        lines = [f"mixed model over {num_tasks} tasks ({short}): not estimable: {mixed.reason}"]
    else:
        told = []
        for contrast in mixed.contrasts:
            difference = contrast.difference
            if difference.value is None or difference.ci_low is None or difference.ci_high is None:
                told.append(f"{contrast.a} - {contrast.b} not estimable: {difference.reason}")
            else:
                told.append(
                    f"{contrast.a} - {contrast.b} {100 * difference.value:+.1f} points "
                    f"[{100 * difference.ci_low:+.1f}, {100 * difference.ci_high:+.1f}]"
                )
        lines = [
            f"mixed model over {num_tasks} tasks ({short}), these tasks and test sets as they are: {'; '.join(told)}"
        ]
    lines += [f"mixed model ({short}): {warning}" for warning in mixed.warnings]
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in zip(ranking.methods, ranking.average_ranks, strict=True))
    critical = (
        f"critical difference {ranking.critical_difference:.2f} (Nemenyi)"
        if ranking.critical_difference is not None
        else f"no critical difference: {ranking.reason}"
    )
    return [*lines, f"average rank over {num_tasks} tasks ({short}): {order}; {critical}"]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
