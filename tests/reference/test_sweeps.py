"""Pruning by a replay of earlier trials against Optuna's own study, run one trial after the other on the same curves."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from tunescope.search.prune import pruning_rule
from tunescope.search.settings import Pruner
from tunescope.search.trial import Trial

PRUNERS = {
    "median": (Pruner(name="median", num_startup_trials=3), optuna.pruners.MedianPruner(3, 0)),
    "median after a warm-up": (
        Pruner(name="median", num_startup_trials=1, num_warmup_scorings=2),
        optuna.pruners.MedianPruner(1, 2),
    ),
    "percentile": (
        Pruner(name="percentile", percentile=70.0, num_startup_trials=2),
        optuna.pruners.PercentilePruner(70.0, 2, 0),
    ),
    "successive_halving": (
        Pruner(name="successive_halving", reduction_factor=2),
        optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    ),
    "successive_halving by three": (
        Pruner(name="successive_halving", reduction_factor=3),
        optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    ),
    "wilcoxon": (
        Pruner(name="wilcoxon", p_threshold=0.2, num_warmup_scorings=3),
        optuna.pruners.WilcoxonPruner(p_threshold=0.2, n_startup_steps=3),
    ),
}


def _curves(seed: int) -> np.ndarray:
    """(trials, scorings) rising curves of different heights, with noise."""
    rng = np.random.default_rng(seed)
    heights = rng.uniform(0.3, 0.9, size=(16, 1))
    return heights * (1 - np.exp(-np.arange(1, 10) / 3)) + rng.normal(0, 0.02, size=(16, 9))


def _by_optuna(curves: np.ndarray, pruner: optuna.pruners.BasePruner) -> list[int | None]:
    """At which scoring each trial is stopped, by a plain sequential `study.optimize`."""
    stops: list[int | None] = []

    def objective(trial: optuna.Trial) -> float:
        for number, score in enumerate(curves[trial.number], start=1):
            trial.report(score, number)
            if number < len(curves[trial.number]) and trial.should_prune():
                stops.append(number)
                raise optuna.TrialPruned
        stops.append(None)
        return float(curves[trial.number].max())

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(objective, n_trials=len(curves))
    return stops


def _by_us(curves: np.ndarray, settings: Pruner) -> list[int | None]:
    """The same from artifacts alone: each trial judged by a rule made anew, waves of one."""
    trials: list[Trial] = []
    stops: list[int | None] = []
    for number, scores in enumerate(curves):
        curve = tuple((scoring, float(score)) for scoring, score in enumerate(scores, start=1))
        rule = pruning_rule(settings, trials, 0)
        stop = next((at for at in range(1, len(curve)) if rule(curve[:at])), None)
        stops.append(stop)
        seen = curve if stop is None else curve[:stop]
        trials.append(
            Trial(
                number=number,
                values={},
                state="complete" if stop is None else "pruned",
                score=max(score for _, score in seen),
                curves=(seen,),
            )
        )
    return stops


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_trial_is_stopped_where_optuna_stops_it(name, seed):
    settings, pruner = PRUNERS[name]
    curves = _curves(seed)
    expected = _by_optuna(curves, pruner)
    assert any(stop is not None for stop in expected)
    assert any(stop is None for stop in expected)
    assert _by_us(curves, settings) == expected
