"""A plan and a store -> the settings that were in force, read back from the runs, and where methods differ in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunescope.analysis.collect import state_of
from tunescope.store import Store
from tunescope.study.plan import Plan, RunCell


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of the runs of one method on one task under one base model."""

    name: str
    """Its path in the record, such as `asked.batch_size` or `method.rank`."""
    value: str
    """As JSON, where all finished seeds have the same; else empty."""
    by_seed: tuple[tuple[int, str], ...]
    """Seed -> value as JSON (`-` where a run has no such setting), where they differ; else empty."""


@dataclass(frozen=True, kw_only=True)
class SettingsInForce:
    """What the finished runs of one method on one task under one base model were trained with."""

    base_model: str
    task: str
    method: str
    num_seeds: int
    """Finished runs that were read."""
    settings: tuple[Setting, ...]
    """In the record's order; empty where no run is finished."""
    jobs: tuple[str, ...]
    """Ids of the trainings."""


@dataclass(frozen=True, kw_only=True)
class SettingDifference:
    """A setting that is not the same for every method on one task under one base model."""

    base_model: str
    task: str
    name: str
    by_method: tuple[tuple[str, str], ...]
    """Method -> its value as JSON, `0.1 to 0.2` where its seeds have several numbers, `-` where it has no such setting."""


NONE = "-"
"""Stands for a setting that there is not."""


def collect_settings(plan: Plan, store: Store) -> list[SettingsInForce]:
    """Each method, task and base model of the study, in its order; without settings where no run is finished."""
    found = []
    for model in plan.study.base_models:
        for task in plan.study.tasks:
            for entry in plan.study.methods:
                runs = [
                    run
                    for run in plan.runs
                    if (run.base_model, run.task.name, run.method) == (model.name, task.name, entry.name)
                    and state_of(run.train, store)[0] == "done"
                ]
                found.append(
                    SettingsInForce(
                        base_model=model.name,
                        task=task.name,
                        method=entry.name,
                        num_seeds=len(runs),
                        settings=tuple(_settings(runs, store)),
                        jobs=tuple(run.train.id for run in runs),
                    )
                )
    return found


def setting_differences(found: Sequence[SettingsInForce]) -> list[SettingDifference]:
    """The settings that methods do not have in common, by base model and task; methods without a finished run are left out.

    Args:
        found: As `collect_settings` gives them.
    """
    places: dict[tuple[str, str], list[SettingsInForce]] = {}
    for one in found:
        if one.num_seeds:
            places.setdefault((one.base_model, one.task), []).append(one)
    differences = []
    for (base_model, task), methods in places.items():
        told = {one.method: {setting.name: _told(setting) for setting in one.settings} for one in methods}
        for name in dict.fromkeys(name for settings in told.values() for name in settings):
            by_method = tuple((method, settings.get(name, NONE)) for method, settings in told.items())
            if len({value for _, value in by_method}) > 1:
                differences.append(SettingDifference(base_model=base_model, task=task, name=name, by_method=by_method))
    return differences


def _settings(runs: Sequence[RunCell], store: Store) -> Iterator[Setting]:
    by_seed: dict[int, dict[str, str]] = {}
    for run in runs:
        facts: dict[str, Any] = dict(store.record(run.train.kind, run.train.id).facts)
        by_seed[run.seed] = dict(_flat(facts["settings_in_force"]))
    for name in dict.fromkeys(name for settings in by_seed.values() for name in settings):
        values = {seed: settings.get(name, NONE) for seed, settings in by_seed.items()}
        is_one = len(set(values.values())) == 1
        yield Setting(
            name=name,
            value=next(iter(values.values())) if is_one else "",
            by_seed=() if is_one else tuple(values.items()),
        )


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Path of each setting and its value as JSON; records are gone into, and lists of records are by their number."""
    for name, value in settings.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for number, item in enumerate(value):
                yield from _flat(item, f"{path}.{number}.")
        else:
            yield path, json.dumps(value)


def _told(setting: Setting) -> str:
    """The one value, or what the seeds' values lie between."""
    if not setting.by_seed:
        return setting.value
    values = list(dict.fromkeys(value for _, value in setting.by_seed))
    numbers = [number for value in values if (number := _number(value)) is not None]
    if len(numbers) < len(values):
        return ", ".join(values)
    return f"{json.dumps(min(numbers))} to {json.dumps(max(numbers))}"


def _number(value: str) -> float | int | None:
    found = None if value == NONE else json.loads(value)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
