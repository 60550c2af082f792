"""The trials so far -> the values of the next wave, by Optuna's samplers.

Optuna's state is not kept: its study is played again from the trials, wave by wave. So a proposal follows from spaces,
settings and earlier results alone, on any machine, with any number of workers, and after any crash.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from tunescope.errors import RunError
from tunescope.search.settings import SearchSettings
from tunescope.search.space import Choice, Range, as_text, grid, is_searched
from tunescope.search.trial import Trial, derived_seed

if TYPE_CHECKING:
    import optuna


def propose(
    spaces: Mapping[str, Choice | Range], settings: SearchSettings, trials: Sequence[Trial], num: int
) -> list[dict[str, Any]]:
    """The values of the next `num` trials.

    Args:
        spaces: Where to look. Trial 0 has the default of every space where all have one.
        settings: How.
        trials: Every trial so far, by number, each with its result; whole waves.
        num: Trials of this wave; a grid that ends earlier has fewer.

    Raises:
        RunError: If the trials were proposed by other rules: another version of Optuna.
    """
    if settings.sampler == "grid":
        return list(islice(grid(spaces), len(trials), len(trials) + num))
    with quiet_optuna():
        return _Replay(spaces, settings).ask_after(trials, num)


def play_again(study: optuna.Study, spaces: Mapping[str, Choice | Range], trials: Sequence[Trial]) -> None:
    """Adds finished trials to an Optuna study, in order, with their intermediate scores."""
    import optuna

    distributions = _distributions(spaces)
    for trial in trials:
        curve = trial.curves[0] if trial.curves else ()
        study.add_trial(
            optuna.create_trial(
                state=_state(trial),
                value=trial.score if trial.state == "complete" else None,
                params={name: _as_parameter(spaces[name], value) for name, value in trial.values.items()},
                distributions={name: distributions[name] for name in trial.values},
                intermediate_values=dict(curve),
                user_attrs={"reason": trial.reason} if trial.reason else {},
            )
        )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna without its log lines and its notes on experimental classes."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


class _Replay:
    """An Optuna study brought to where a sweep stands."""

    def __init__(self, spaces: Mapping[str, Choice | Range], settings: SearchSettings) -> None:
        import optuna

        self._spaces, self._settings = spaces, settings
        self._study = optuna.create_study(direction="maximize")
        defaults = default_setting(spaces)
        if defaults is not None:
            self._study.enqueue_trial({name: _as_parameter(spaces[name], value) for name, value in defaults.items()})

    def ask_after(self, trials: Sequence[Trial], num: int) -> list[dict[str, Any]]:
        size = self._settings.wave_size
        for first in range(0, len(trials), size):
            wave = trials[first : first + size]
            asked = [self._ask(trial.number) for trial in wave]
            for trial, (optuna_trial, values) in zip(wave, asked, strict=True):
                self._check(trial, values)
                for scoring, score in trial.curves[0] if trial.curves else ():
                    optuna_trial.report(score, scoring)
                value = trial.score if trial.state == "complete" else None
                self._study.tell(optuna_trial, value, state=_state(trial))
        return [self._ask(len(trials) + offset)[1] for offset in range(num)]

    def _ask(self, number: int) -> tuple[optuna.Trial, dict[str, Any]]:
        self._study.sampler = _sampler(self._settings, self._spaces, number)
        trial = self._study.ask()
        values: dict[str, Any] = {}
        for name, space in self._spaces.items():
            if not is_searched(space, values):
                continue
            if isinstance(space, Choice):
                values[name] = _from_parameter(space, trial.suggest_categorical(name, _parameters(space)))
            elif space.integer:
                values[name] = trial.suggest_int(name, int(space.low), int(space.high), log=space.log)
            else:
                values[name] = trial.suggest_float(name, space.low, space.high, log=space.log)
        return trial, values

    def _check(self, trial: Trial, values: Mapping[str, Any]) -> None:
        if as_text(trial.values) != as_text(dict(values)):
            import optuna

            raise RunError(
                f"trial {trial.number} was made with {as_text(trial.values)}, and Optuna {optuna.__version__} would now "
                f"propose {as_text(dict(values))}: the sweep was begun with another version of Optuna. Finish it with that "
                "version, or start it anew with another sweep.seed"
            )


def default_setting(spaces: Mapping[str, Choice | Range]) -> dict[str, Any] | None:
    """The default of every space that is searched then; None where one has none."""
    setting: dict[str, Any] = {}
    for name, space in spaces.items():
        if not is_searched(space, setting):
            continue
        if space.default is None:
            return None
        setting[name] = space.default if isinstance(space, Choice) else space.as_value(space.default)
    return setting


def _sampler(
    settings: SearchSettings, spaces: Mapping[str, Choice | Range], number: int
) -> optuna.samplers.BaseSampler:
    import optuna

    seed = derived_seed(settings.seed, "sampler", number)
    if settings.sampler == "tpe":
        return optuna.samplers.TPESampler(n_startup_trials=settings.num_startup_trials, seed=seed)
    if settings.sampler == "cmaes":
        return optuna.samplers.CmaEsSampler(
            n_startup_trials=settings.num_startup_trials, seed=seed, warn_independent_sampling=False
        )
    if settings.sampler == "qmc":
        return _one_sequence(settings.seed, _distributions(spaces))
    return optuna.samplers.RandomSampler(seed=seed)


def _one_sequence(seed: int, distributions: dict[str, Any]) -> optuna.samplers.BaseSampler:
    """Scrambled Sobol points over every space, conditional ones too: trial n has the n-th point, whatever came before it.

    Optuna's own sampler takes the spaces of the first trial, and in a first wave those of its siblings, each with a sequence
    of its own, so that points come twice.
    """
    import optuna

    class OneSequence(optuna.samplers.QMCSampler):
        def infer_relative_search_space(
            self, study: optuna.Study, trial: optuna.trial.FrozenTrial
        ) -> dict[str, optuna.distributions.BaseDistribution]:
            return distributions

    return OneSequence(scramble=True, seed=seed, warn_independent_sampling=False)


def _state(trial: Trial) -> optuna.trial.TrialState:
    from optuna.trial import TrialState

    return {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[trial.state]


def _distributions(spaces: Mapping[str, Choice | Range]) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    return {
        name: CategoricalDistribution(_parameters(space))
        if isinstance(space, Choice)
        else IntDistribution(int(space.low), int(space.high), log=space.log)
        if space.integer
        else FloatDistribution(space.low, space.high, log=space.log)
        for name, space in spaces.items()
    }


def _parameters(space: Choice) -> list[Any]:
    """A list's values as Optuna takes them: plain ones as they are, lists and maps as text."""
    return [_as_parameter(space, value) for value in space.values]


def _as_parameter(space: Choice | Range, value: Any) -> Any:
    return (
        value
        if isinstance(space, Range) or value is None or isinstance(value, bool | int | float | str)
        else as_text(value)
    )


def _from_parameter(space: Choice, parameter: Any) -> Any:
    return next(value for value in space.values if as_text(_as_parameter(space, value)) == as_text(parameter))
