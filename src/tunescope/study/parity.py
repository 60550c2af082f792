"""Whether a study tunes its methods alike: what it must say where it does not, and searches that are none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tunescope.search.space import Choice, Range
from tunescope.study.settings import DEFAULT_EPOCHS, TrainingSettings
from tunescope.study.sweeps import num_trials_of

if TYPE_CHECKING:
    from tunescope.study.spec import MethodEntry, StudySpec

_ALIKE = ("early_stopping_patience", "evaluate_every", "keep", "precision")
"""Settings that decide how much a trial reads, how often it is looked at, or what its score is of."""
_LEAST_RATIO = 1.25
"""A logarithmic range narrower than this searches next to nothing."""
_LEAST_WIDTH = 0.05
"""So does a plain one narrower than this share of its larger bound."""


def budget_differences(study: StudySpec) -> list[str]:
    """In which ways some methods are tuned with more than others, a sentence each; none where all are tuned alike."""
    swept = {entry.name: entry for entry in study.methods if entry.sweep}
    if not swept:
        return []
    told = []
    fixed = [entry.name for entry in study.methods if not entry.sweep]
    if fixed:
        told.append(
            f"methods {', '.join(swept)} are tuned and {', '.join(fixed)} not: what they then differ by may be the tuning"
        )
    counts = {name: num_trials_of(study.sweep, entry.sweep) for name, entry in swept.items()}
    if len(set(counts.values())) > 1:
        numbers = ", ".join(f"{name} {count}" for name, count in counts.items())
        told.append(f"methods are tuned with different numbers of trials: {numbers}")
    return [*told, *_lengths_searched(study, list(swept.values())), *_settings_in_force(study, list(swept.values()))]


def unequal_budgets(study: StudySpec) -> str:
    """What every result of a study must say that allows unequal budgets; empty where it does not allow them."""
    if not study.sweep.allow_unequal_budgets:
        return ""
    told = "; ".join(budget_differences(study)) or "here they are equal"
    return (
        f"the study allows unequal tuning budgets (sweep.allow_unequal_budgets): {told}; differences may be the tuning"
    )


def search_warnings(study: StudySpec) -> list[str]:
    """Searches that are equal in trials and not in what they can find, a sentence each."""
    swept = [entry for entry in study.methods if entry.sweep]
    told = []
    for entry in swept:
        num_trials, distinct = num_trials_of(study.sweep, entry.sweep), _num_settings(entry)
        if distinct is not None and distinct < num_trials:
            told.append(
                f"sweep of {entry.name}: {distinct} distinct settings for {num_trials} trials; the rest repeat them"
            )
        told += [
            f"sweep of {entry.name}: {name} from {space.low:.9g} to {space.high:.9g} is next to no range; a method searched in "
            "it is as good as not tuned"
            for name, space in entry.sweep.items()
            if isinstance(space, Range) and _is_narrow(space)
        ]
    with_rate = [entry.name for entry in swept if "learning_rate" in entry.sweep]
    without = [entry.name for entry in swept if "learning_rate" not in entry.sweep]
    if with_rate and without:
        told.append(
            f"learning_rate is searched for {', '.join(with_rate)} and fixed for {', '.join(without)}: what they differ by may "
            "be the rate"
        )
    by_method: defaultdict[str, list[str]] = defaultdict(list)
    for entry in swept:
        by_method[f"{type(entry.method).__name__}: {_fixed_part(entry)}"].append(entry.name)
    told += [
        f"{' and '.join(names)} differ in their search alone: that method gets the trials of {len(names)}"
        for names in by_method.values()
        if len(names) > 1
    ]
    return told


def _lengths_searched(study: StudySpec, swept: Sequence[MethodEntry]) -> Iterator[str]:
    """Whether what sets a trial's length is searched alike."""
    by_steps = study.training.steps is not None or any(
        "steps" in entry.sweep or entry.training.get("steps") is not None for entry in swept
    )
    fields = ("epochs", "steps", "early_stopping_patience")
    for field in (*fields, "batch_size") if by_steps else fields:
        with_field = [entry for entry in swept if field in entry.sweep]
        names = ", ".join(entry.name for entry in with_field)
        if with_field and len(with_field) < len(swept):
            others = ", ".join(entry.name for entry in swept if field not in entry.sweep)
            yield f"{field} is swept for {names} and not for {others}"
        elif any(_with_conditions(entry, field) != _with_conditions(with_field[0], field) for entry in with_field):
            yield f"{names} search {field} in different spaces, so that some read more than others"


def _settings_in_force(study: StudySpec, swept: Sequence[MethodEntry]) -> Iterator[str]:
    """Whether trials of one task are as long, and looked at as often, whatever the method."""
    tasks_by_problem: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for model in study.base_models:
        for task in study.tasks:
            settings = {entry.name: study.settings(model, task, entry.typical()) for entry in swept}
            lengths = {name: _length(one) for name, one in settings.items()}
            for what, values in [
                ("read different numbers of examples", lengths),
                *((f"differ in {field}", _values(settings, field)) for field in _ALIKE),
            ]:
                if len(set(values.values())) > 1:
                    told = ", ".join(f"{name} {value}" for name, value in values.items())
                    tasks_by_problem[what, told][task.name] = None
    for (what, told), tasks in tasks_by_problem.items():
        yield f"trials on {', '.join(tasks)} {what}: {told}"


def _values(settings: Mapping[str, TrainingSettings], field: str) -> dict[str, str]:
    return {name: "none" if getattr(one, field) is None else str(getattr(one, field)) for name, one in settings.items()}


def _length(settings: TrainingSettings) -> str:
    if settings.steps is not None:
        return f"{settings.steps} steps of {settings.batch_size}"
    return f"{settings.epochs if settings.epochs is not None else DEFAULT_EPOCHS:g} epochs"


def _with_conditions(entry: MethodEntry, field: str) -> dict[str, Choice | Range]:
    """The space of a field, and those of every field that decides whether it is searched."""
    found: dict[str, Choice | Range] = {}
    waiting = [field]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = entry.sweep[name]
            waiting.extend(entry.sweep[name].when)
    return found


def _num_settings(entry: MethodEntry) -> int | None:
    """Settings that a search can tell apart, conditions left out of account; None where a range has no end of them."""
    count = 1
    for space in entry.sweep.values():
        if isinstance(space, Choice):
            count *= len(space.values)
        elif space.integer:
            count *= int(space.high) - int(space.low) + 1
        else:
            return None
    return count


def _is_narrow(space: Range) -> bool:
    if space.integer:
        return False
    if space.log:
        return space.high / space.low < _LEAST_RATIO
    return space.high - space.low < _LEAST_WIDTH * max(abs(space.low), abs(space.high))


def _fixed_part(entry: MethodEntry) -> str:
    """What of an entry its search leaves alone, and which fields it searches."""
    fixed = {name: value for name, value in entry.method.model_dump(mode="json").items() if name not in entry.sweep}
    training = {name: value for name, value in entry.training.items() if name not in entry.sweep}
    return f"{sorted(entry.sweep)} {fixed} {sorted(training.items())}"
