"""The values of a sweep's next wave of trials, from what came of those before."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from tunescope.fields import Frozen
from tunescope.search.propose import propose
from tunescope.search.settings import SearchSettings
from tunescope.search.trial import Trial, TrialTraining, combined
from tunescope.steps.context import StepContext
from tunescope.study.configs import ProposeConfig

WAVE_NAME = "proposals.json"


class Wave(Frozen):
    """A wave's proposals, and every trial before it: `proposals.json`."""

    settings: SearchSettings
    first: int
    """Number of the wave's first trial."""
    values: tuple[dict[str, Any], ...]
    """What each trial of the wave sets."""
    trials: tuple[Trial, ...]
    """Those of earlier waves, by number."""


def run(
    config: ProposeConfig, inputs: Mapping[str, Path], out: Path, scratch: Path, context: StepContext
) -> dict[str, Any]:
    """Writes `proposals.json`.

    Raises:
        RunError: If the earlier trials were proposed by another version of Optuna.
    """
    trials = trials_so_far(inputs)
    assert len(trials) == config.first, f"{len(trials)} trials before trial {config.first}"
    values = propose(config.spaces, config.settings, trials, config.num)
    wave = Wave(settings=config.settings, first=config.first, values=tuple(values), trials=trials)
    (out / WAVE_NAME).write_text(wave.model_dump_json(indent=1), encoding="utf-8")
    return {"values": values, "trials_before": len(trials)}


def read_wave(folder: Path) -> Wave:
    """The wave that a propose job left in its folder."""
    return Wave.model_validate_json((folder / WAVE_NAME).read_text(encoding="utf-8"))


def trials_so_far(inputs: Mapping[str, Path], num_trials: int | None = None) -> tuple[Trial, ...]:
    """Every trial up to and including the wave that is the input `previous`; none where there is no such input.

    Args:
        inputs: Of a job that comes after a wave.
        num_trials: Of the whole sweep, where it may end within that wave.
    """
    if "previous" not in inputs:
        return ()
    wave = read_wave(inputs["previous"])
    seeds = range(wave.settings.seeds_per_trial)
    ended = [
        combined(number, values, [_training(inputs, number, replicate) for replicate in seeds])
        for number, values in islice(
            enumerate(wave.values, start=wave.first), None if num_trials is None else num_trials - wave.first
        )
    ]
    return (*wave.trials, *ended)


def _training(inputs: Mapping[str, Path], number: int, replicate: int) -> TrialTraining | None:
    """One training of a trial; None where its job failed."""
    folder = inputs.get(f"trial_{number}_{replicate}")
    if folder is None:
        return None
    return TrialTraining.model_validate_json((folder / "trial.json").read_text(encoding="utf-8"))
