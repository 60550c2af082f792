"""A sweep's trials -> how much of the spread between their scores goes with each swept field (fANOVA, as Optuna computes it)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunescope.analysis.trials import TrialRow
from tunescope.search.propose import play_again, quiet_optuna
from tunescope.search.space import Choice, Range
from tunescope.search.trial import Trial
from tunescope.study.spec import StudySpec
from tunescope.tasks.scores import SCORES

FEW_TRIALS = 30
"""With fewer, shares are rough."""
_LEAST_TRIALS = 8


@dataclass(frozen=True, kw_only=True)
class Importance:
    """One sweep's fields by importance."""

    base_model: str
    task: str
    method: str
    shares: tuple[tuple[str, float], ...]
    """Field -> share of the variance of the scores that a random forest lays to it alone; together 1. Largest first."""
    num_trials: int
    """Completed trials that it is from."""
    reason: str
    """Why there are no shares, or why they are rough; empty where neither is so."""


def importances(study: StudySpec, trials: Sequence[TrialRow]) -> list[Importance]:
    """One entry per sweep of two swept fields or more, in the trials' order.

    Hutter, Hoos & Leyton-Brown (2014), "An efficient approach for assessing hyperparameter importance". Fields that only some
    trials have are left out, as are pruned and failed trials.

    Args:
        study: Says what was swept.
        trials: As `collect_trials` gives them.
    """
    spaces = {entry.name: entry.sweep for entry in study.methods}
    places = dict.fromkeys((row.base_model, row.task, row.method) for row in trials)
    return [
        _importance(place, spaces[place[2]], [row for row in trials if (row.base_model, row.task, row.method) == place])
        for place in places
        if len(spaces[place[2]]) > 1
    ]


def _importance(
    place: tuple[str, str, str], spaces: Mapping[str, Choice | Range], rows: Sequence[TrialRow]
) -> Importance:
    done = [row for row in rows if row.state == "complete" and row.score is not None]
    shares: tuple[tuple[str, float], ...] = ()
    reason = ""
    if len(done) < _LEAST_TRIALS:
        reason = f"{len(done)} completed trials; {_LEAST_TRIALS} are the least for it"
    elif len({row.score for row in done}) == 1:
        reason = "all completed trials score alike"
    else:
        shares = _shares(spaces, done)
        reason = f"from {len(done)} completed trials, so rough" if len(done) < FEW_TRIALS else ""
    base_model, task, method = place
    return Importance(
        base_model=base_model, task=task, method=method, shares=shares, num_trials=len(done), reason=reason
    )


def _shares(spaces: Mapping[str, Choice | Range], rows: Sequence[TrialRow]) -> tuple[tuple[str, float], ...]:
    import optuna

    sign = 1.0 if SCORES[rows[0].metric].higher_is_better else -1.0
    with quiet_optuna():
        study = optuna.create_study(direction="maximize")
        trials = [
            Trial(number=row.trial, values=json.loads(row.values), state="complete", score=sign * (row.score or 0.0))
            for row in rows
        ]
        play_again(study, spaces, trials)
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return tuple((name, float(share)) for name, share in found.items())
