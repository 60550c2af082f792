"""The jobs of one sweep: wave after wave of trials, each proposed from those before, then the choice of the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tunescope.search.settings import DEFAULT_WAVE_SIZE, SamplerName, SearchSettings, SweepSettings
from tunescope.search.space import Choice, Range, Spaces, grid
from tunescope.search.trial import derived_seed
from tunescope.study.configs import ProposeConfig, SelectConfig
from tunescope.study.job import Job

MakeTrial = Callable[[int, int, int, Mapping[str, Job]], Job]
"""(trial number, replicate, seed, inputs) -> the job of one training of a trial."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One sweep of a study: its coordinates and its jobs."""

    base_model: str
    task: str
    method: str
    num_trials: int
    trials: tuple[tuple[Job, ...], ...]
    """By trial number: the job of each of its trainings."""
    select: Job


def sampler_of(settings: SweepSettings, spaces: Mapping[str, Choice | Range]) -> SamplerName:
    """The sampler in force: the one asked for, else grid where lists alone are given and no number of trials, else tpe."""
    if settings.sampler is not None:
        return settings.sampler
    is_listed = all(isinstance(space, Choice) for space in spaces.values())
    return "grid" if is_listed and settings.num_trials is None else "tpe"


def num_trials_of(settings: SweepSettings, spaces: Mapping[str, Choice | Range]) -> int:
    """Trials of each of a method's sweeps; `num_trials` must be given where a space is a range."""
    if sampler_of(settings, spaces) == "grid":
        return sum(1 for _ in grid(spaces))
    assert settings.num_trials is not None, "looked at when the study was loaded"
    return settings.num_trials


def make_sweep(
    settings: SweepSettings,
    spaces: Spaces,
    make_trial: MakeTrial,
    *,
    label: str,
    about: Mapping[str, str],
) -> Sweep:
    """The jobs of one sweep.

    Args:
        settings: How to search.
        spaces: Where.
        make_trial: Makes the job of one training of a trial.
        label: For people: "mrpc-lora".
        about: base_model, task, method.
    """
    num_trials = num_trials_of(settings, spaces)
    search = search_settings(settings, spaces, num_trials)
    described = dict(spaces)
    trials: list[tuple[Job, ...]] = []
    inputs: dict[str, Job] = {}
    for wave, first in enumerate(range(0, num_trials, search.wave_size)):
        proposals = Job(
            label=f"{label}-wave{wave}",
            config=ProposeConfig(spaces=described, settings=search, first=first, num=search.wave_size),
            inputs=inputs,
            about=about,
        )
        inputs = {"previous": proposals}
        for number in range(first, min(first + search.wave_size, num_trials)):
            replicates = tuple(
                make_trial(
                    number, replicate, derived_seed(settings.seed, "trial", number, replicate), {"proposals": proposals}
                )
                for replicate in range(search.seeds_per_trial)
            )
            trials.append(replicates)
            inputs |= {f"trial_{number}_{replicate}": job for replicate, job in enumerate(replicates)}
    select = Job(
        label=f"{label}-select",
        config=SelectConfig(spaces=described, settings=search, num_trials=num_trials),
        inputs=inputs,
        about=about,
    )
    return Sweep(
        base_model=about["base_model"],
        task=about["task"],
        method=about["method"],
        num_trials=num_trials,
        trials=tuple(trials),
        select=select,
    )


def search_settings(settings: SweepSettings, spaces: Mapping[str, Choice | Range], num_trials: int) -> SearchSettings:
    """What of a sweep's settings is in force for some spaces."""
    sampler = sampler_of(settings, spaces)
    one_wave = sampler == "grid" and settings.pruner is None
    return SearchSettings(
        sampler=sampler,
        wave_size=settings.wave_size or (num_trials if one_wave else DEFAULT_WAVE_SIZE),
        num_startup_trials=settings.num_startup_trials,
        seeds_per_trial=settings.seeds_per_trial,
        seed=settings.seed,
        pruner=settings.pruner,
    )
