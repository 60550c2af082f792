"""Whether a trial is hopeless, by Optuna's pruners, judged against the trials of earlier waves alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tunescope.search.propose import quiet_optuna
from tunescope.search.settings import Pruner
from tunescope.search.trial import Curve, Trial

if TYPE_CHECKING:
    import optuna

ShouldStop = Callable[[Curve], bool]
"""The selection scores of a training so far -> whether to stop it."""


def pruning_rule(settings: Pruner, trials: Sequence[Trial], replicate: int) -> ShouldStop:
    """The rule for one training of a trial.

    The same curve against the same trials is always judged alike, so a resumed training stops where it would have.

    Args:
        settings: Which pruner.
        trials: Those of earlier waves, by number.
        replicate: Which training of each is compared with.
    """

    def should_stop(curve: Curve) -> bool:
        with quiet_optuna():
            study = _study_of(settings, trials, replicate)
            trial = study.ask()
            stop = False
            for scoring, score in curve:
                trial.report(score, scoring)
                stop = bool(trial.should_prune())  # some pruners answer in NumPy's own
            return stop

    return should_stop


def _study_of(settings: Pruner, trials: Sequence[Trial], replicate: int) -> optuna.Study:
    """The earlier trials as Optuna's pruners want them: asked at every scoring, as some keep their rungs that way."""
    import optuna
    from optuna.trial import TrialState

    study = optuna.create_study(direction="maximize", pruner=_pruner(settings))
    for earlier in trials:
        trial = study.ask()
        curve = earlier.curves[replicate] if replicate < len(earlier.curves) else ()
        for scoring, score in curve:
            trial.report(score, scoring)
            trial.should_prune()
        if earlier.state == "complete":
            study.tell(trial, earlier.score)
        else:
            study.tell(trial, state=TrialState.PRUNED if earlier.state == "pruned" and curve else TrialState.FAIL)
    return study


def _pruner(settings: Pruner) -> optuna.pruners.BasePruner:
    import optuna

    if settings.name == "median":
        return optuna.pruners.MedianPruner(settings.num_startup_trials, settings.num_warmup_scorings)
    if settings.name == "percentile":
        return optuna.pruners.PercentilePruner(
            settings.percentile, settings.num_startup_trials, settings.num_warmup_scorings
        )
    if settings.name == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=settings.reduction_factor)
    return optuna.pruners.WilcoxonPruner(
        p_threshold=settings.p_threshold, n_startup_steps=max(2, settings.num_warmup_scorings)
    )
