"""Where a study says `{sweep: ...}`: texts -> spaces, and what must hold between the sweeps of its methods."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from tunescope.errors import did_you_mean
from tunescope.search.recommended import recommended_spaces
from tunescope.search.settings import MAX_TRIALS
from tunescope.search.space import Choice, Range, grid
from tunescope.study.parity import budget_differences
from tunescope.study.problems import checked, join, shown
from tunescope.study.sweeps import num_trials_of, sampler_of

if TYPE_CHECKING:
    from tunescope.study.spec import MethodEntry, StudySpec

_RANGES: dict[str, dict[str, bool]] = {
    "uniform": {},
    "log_uniform": {"log": True},
    "int": {"integer": True},
    "log_int": {"integer": True, "log": True},
}
_LISTS = ("categorical",)
_OPTIONS = ("default", "when")
NOT_SWEPT = {"precision", "keep", "evaluate_every"}
"""Fields that change what a selection score means; a sweep over them would compare unlike with unlike."""


def take_sweeps(fixed: dict[str, Any], kind: str, at: str, problems: list[str]) -> dict[str, Choice | Range]:
    """Takes fields written `{sweep: ...}`, and `sweep: recommended` for the whole method, out of `fixed`."""
    spaces: dict[str, Choice | Range] = {}
    if "sweep" in fixed:
        asked = fixed.pop("sweep")
        known = recommended_spaces(kind, fixed)
        if asked != "recommended":
            problems.append(
                f"{join(at, 'sweep')} must be the word recommended, got {shown(asked)}. "
                "A space of your own stands at its field: `learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}`"
            )
        elif known is None:
            problems.append(
                f"{join(at, 'sweep')}: no space is recommended for {kind} with these fields. Give one at each field to be "
                "swept: `learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}`"
            )
        else:
            spaces |= {name: space for name, space in known.items() if name not in fixed}
            for name in known:
                if name in fixed and not (isinstance(fixed[name], dict) and "sweep" in fixed[name]):
                    problems.append(
                        f"{join(at, name)} is fixed at {shown(fixed[name])}, and {join(at, 'sweep')}: recommended searches "
                        "it. Drop one of the two"
                    )
    for key in [key for key, value in fixed.items() if isinstance(value, dict) and "sweep" in value]:
        field = fixed.pop(key)
        place = join(at, str(key), "sweep")
        if set(field) != {"sweep"}:
            problems.append(f"{join(at, str(key))} must hold `sweep` alone, got {shown(field)}")
            continue
        space = _space(field["sweep"], place, problems)
        if space is not None:
            spaces[str(key)] = space
    return _parents_first(spaces, at, problems)


def check_budgets(study: StudySpec, problems: list[str]) -> None:
    """Complains where methods would not be tuned alike, or a sweep could not run."""
    swept = {entry.name: entry for entry in study.methods if entry.sweep}
    settings = study.sweep
    if not swept:
        asked = sorted(settings.model_fields_set - {"seed"})
        if asked:
            problems.append(
                f"sweep.{asked[0]} is given, and no method has a swept field. Write `{{sweep: ...}}` at the fields to be "
                "searched, such as `learning_rate: {sweep: {log_uniform: [1e-5, 1e-3]}}`"
            )
        return
    for entry in swept.values():
        _check_sampler(study, entry, problems)
    if problems or settings.allow_unequal_budgets:
        return
    unequal = "Tune all alike, or say sweep.allow_unequal_budgets: true, which the report will tell"
    problems.extend(f"{told}. {unequal}" for told in budget_differences(study))


def _check_sampler(study: StudySpec, entry: MethodEntry, problems: list[str]) -> None:
    at, settings = join("methods", entry.name), study.sweep
    ranges = [name for name, space in entry.sweep.items() if isinstance(space, Range)]
    sampler = sampler_of(settings, entry.sweep)
    if sampler == "grid" and ranges:
        problems.append(
            f"{join(at, ranges[0], 'sweep')} is a range, and sweep.sampler grid needs lists. Give a list, or sampler: tpe"
        )
        return
    if sampler != "grid" and settings.num_trials is None:
        problems.append(
            f"sweep.num_trials is missing: {join(at, next(iter(entry.sweep)), 'sweep')} is searched by {sampler}, which has no "
            "end of its own. Give `sweep: {num_trials: 12}`"
        )
        return
    if sampler == "cmaes":
        import importlib.util

        if importlib.util.find_spec("cmaes") is None:
            problems.append("sweep.sampler cmaes needs the package cmaes. Install it: pip install cmaes")
    if sampler == "grid":
        num_combinations = sum(1 for _ in islice(grid(entry.sweep), MAX_TRIALS + 1))
        if num_combinations > MAX_TRIALS:
            problems.append(
                f"the grid of {entry.name} has more than {MAX_TRIALS:,} combinations. Shorten its lists, or say "
                "`sweep: {sampler: random, num_trials: 12}`"
            )
            return
        if settings.num_trials not in (None, num_combinations):
            problems.append(
                f"sweep.num_trials is {settings.num_trials}, and the grid of {entry.name} has {num_combinations} combinations. "
                "Drop num_trials, or say sweep.sampler: random"
            )
            return
    num_trials = num_trials_of(settings, entry.sweep)
    if settings.wave_size is not None and settings.wave_size > num_trials:
        problems.append(
            f"sweep.wave_size {settings.wave_size} is more than the {num_trials} trials of {entry.name}. Lower it"
        )
    if {"alpha", "learning_rate"} <= set(entry.sweep) and not settings.allow_alpha_with_learning_rate:
        problems.append(
            f"{at} sweeps alpha and learning_rate together, though both scale the same update, so that trials are spent on "
            "settings that are alike. Drop one, or say sweep.allow_alpha_with_learning_rate: true"
        )


def _space(raw: Any, at: str, problems: list[str]) -> Choice | Range | None:
    if isinstance(raw, list):
        raw = {"categorical": raw}
    forms = (*_RANGES, *_LISTS)
    named = [key for key in raw if key in forms] if isinstance(raw, dict) else []
    if not isinstance(raw, dict) or len(named) != 1:
        problems.append(
            f"{at} must be a list of values, or one of {', '.join(forms)} with its bounds "
            f"(`{{log_uniform: [1e-5, 1e-3]}}`), got {shown(raw)}"
        )
        return None
    form = named[0]
    rest = {key: value for key, value in raw.items() if key != form}
    for key in [key for key in rest if key not in _OPTIONS]:
        problems.append(f"{join(at, str(key))} is no option of a sweep. {did_you_mean(str(key), [*forms, *_OPTIONS])}")
        return None
    if form in _LISTS:
        if not isinstance(raw[form], list) or len(raw[form]) < 2:
            problems.append(f"{at} must be a list of two values or more, got {shown(raw[form])}")
            return None
        found: Choice | None = checked(Choice, {"values": raw[form], **rest}, at, problems)
        return found
    bounds = raw[form]
    if not isinstance(bounds, list) or len(bounds) != 2:
        problems.append(f"{join(at, form)} must be two numbers, the lower and the upper bound, got {shown(bounds)}")
        return None
    place = join(at, form)
    space: Range | None = checked(
        Range, {"low": bounds[0], "high": bounds[1], **_RANGES[form], **rest}, place, problems
    )
    return space


def _parents_first(spaces: Mapping[str, Choice | Range], at: str, problems: list[str]) -> dict[str, Choice | Range]:
    """Spaces in an order in which every `when` looks back, and that does not depend on how the file has them."""
    ordered: dict[str, Choice | Range] = {}
    left = dict(spaces)
    while left:
        ready = sorted(name for name, space in left.items() if all(field in ordered for field in space.when))
        if not ready:
            name, space = next(iter(left.items()))
            field = next(field for field in space.when if field not in ordered)
            problems.append(
                f"{join(at, name, 'sweep')}.when names {shown(field)}, which is not swept or depends on {name} in turn. "
                f"{did_you_mean(field, [one for one in spaces if one != name])}"
            )
            return {}
        for name in ready:
            ordered[name] = left.pop(name)
    for name, space in ordered.items():
        for field, wanted in space.when.items():
            for value in wanted:
                if not ordered[field].holds(value):
                    problems.append(f"{join(at, name, 'sweep')}.when: {field} is never {shown(value)} in this sweep")
    return ordered
