"""Two studies, or one study in two stores -> what differs in what was asked, and which differences of the scores are real."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tunescope.analysis.arms import arm_of_runs, twins, why_missing
from tunescope.analysis.collect import state_of
from tunescope.inference.example_scores import score_of
from tunescope.stats.compare import Comparison, compare, not_comparable
from tunescope.stats.verdict import Verdict, verdicts
from tunescope.store import Store
from tunescope.study.plan import Plan, RunCell

Place = tuple[str, str, str]
"""Base model, task, method."""
Relation = Literal["same runs", "same examples", "other examples", "not comparable"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two."""

    name: str
    """How it is told from the other: the study's name, or the store's where both are one study."""
    plan: Plan
    store: Store


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that differs between the two studies, or between what they ran with."""

    what: str
    """Its place in the study, dotted; or the library or machine."""
    first: str
    """Empty where only the second has it."""
    second: str


@dataclass(frozen=True, kw_only=True)
class CellChange:
    """One task and method in both, by the task's primary score."""

    task: str
    method: str
    base_models: tuple[str, str]
    """Of the first and of the second."""
    metric: str
    relation: Relation
    """`same runs`: the same jobs, or the same weights, for every seed that both have, so there is nothing to test; `other
    examples`: the report rows differ."""
    comparison: Comparison
    """A is the second study, B the first: a difference above 0 is what the second has more."""
    means: tuple[float | None, float | None]
    """Scores of the first and of the second over their seeds; None where there are none."""
    verdict: Verdict
    """Not estimable for the same runs, whatever their scores."""
    note: str = ""
    """Of the same runs: whether their scores are the same too, and which seeds one study has alone."""


@dataclass(frozen=True, kw_only=True)
class TwoStudies:
    """What changed, and whether it is real."""

    first: Side
    second: Side
    changes: tuple[Change, ...]
    cells: tuple[CellChange, ...]
    """One family for Holm's correction, but for the same runs: nothing of theirs is tested, and they cost the others nothing."""
    only_first: tuple[str, ...]
    """Tasks and methods that the other lacks, in words."""
    only_second: tuple[str, ...]


def compare_two(first: Side, second: Side, *, alpha: float = 0.05) -> TwoStudies:
    """Every task and method that two studies have in common, seeds paired where both have the same on one base model.

    Base models of one name belong together; where each study has one and the names differ, those do: another base model
    under the same tasks and methods.

    Args:
        first: What is compared against: the older, the smaller.
        second: What is new.
        alpha: Chance, at most, of a false verdict in the family.
    """
    pairs = _model_pairs(first.plan, second.plan)
    cells: list[CellChange] = []
    matched: tuple[set[Place], set[Place]] = (set(), set())
    for models in pairs:
        for place in _places(first.plan, models[0]):
            if place in _places(second.plan, models[1]):
                cells.append(_cell(first, second, models, *place))
                for side, model in zip(matched, models, strict=True):
                    side.add((model, *place))
    tested = [number for number, cell in enumerate(cells) if cell.relation != "same runs"]
    judged = verdicts([cells[number].comparison for number in tested], alpha=alpha)
    for number, verdict in zip(tested, judged, strict=True):
        cells[number] = replace(cells[number], verdict=verdict)
    return TwoStudies(
        first=first,
        second=second,
        changes=tuple(_changes(first, second)),
        cells=tuple(cells),
        only_first=_rest(first.plan, matched[0]),
        only_second=_rest(second.plan, matched[1]),
    )


def _model_pairs(first: Plan, second: Plan) -> list[tuple[str, str]]:
    names = [[model.name for model in plan.study.base_models] for plan in (first, second)]
    shared = [(name, name) for name in names[0] if name in names[1]]
    return shared or ([(names[0][0], names[1][0])] if len(names[0]) == len(names[1]) == 1 else [])


def _places(plan: Plan, model: str) -> list[tuple[str, str]]:
    return list(dict.fromkeys((run.task.name, run.method) for run in plan.runs if run.base_model == model))


def _rest(plan: Plan, matched: set[Place]) -> tuple[str, ...]:
    all_places = dict.fromkeys((run.base_model, run.task.name, run.method) for run in plan.runs)
    return tuple(
        f"{task} {method} ({model})" for model, task, method in all_places if (model, task, method) not in matched
    )


def _runs(plan: Plan, model: str, task: str, method: str) -> list[RunCell]:
    return [run for run in plan.runs if (run.base_model, run.task.name, run.method) == (model, task, method)]


def _cell(first: Side, second: Side, models: tuple[str, str], task: str, method: str) -> CellChange:
    runs = _runs(first.plan, models[0], task, method), _runs(second.plan, models[1], task, method)
    metric = runs[0][0].task.primary_metric
    comparison, relation = _comparison(first, second, runs, same_seeds_mean_the_same=models[0] == models[1])
    note = _same_runs(first, second, runs, comparison, relation) if comparison.a_scores else ""
    if note:
        relation = "same runs"
    return CellChange(
        task=task,
        method=method,
        base_models=models,
        metric=metric,
        relation=relation,
        comparison=comparison,
        means=(_mean(comparison.b_scores), _mean(comparison.a_scores)),
        verdict=Verdict(answer="not estimable", p_value=None, adjusted_p=None, sentence=""),
        note=note,
    )


def _same_runs(
    first: Side, second: Side, runs: tuple[list[RunCell], list[RunCell]], comparison: Comparison, relation: Relation
) -> str:
    """What is to be said of runs that are the same in both studies; empty where none is.

    The same jobs; or jobs that ended with the same weights and score the same examples alike, as those of a study that only
    measures more than the other.
    """
    own = [{run.seed: run for run in side} for side in runs]
    scores = [
        dict(zip(sorted(seeds), side, strict=True))
        for seeds, side in zip(own, (comparison.b_scores, comparison.a_scores), strict=True)
    ]
    common = [seed for seed in own[0] if seed in own[1]]
    same_jobs = [seed for seed in common if own[0][seed].evaluate.id == own[1][seed].evaluate.id]
    same_weights = [
        seed
        for seed in common
        if relation == "same examples"
        and scores[0][seed] == scores[1][seed]
        and _same_weights(own[0][seed], own[1][seed], first, second)
    ]
    shared = [seed for seed in common if seed in same_jobs or seed in same_weights]
    if not shared or shared != common:  # a change that some seeds did not feel is a change
        return ""
    what = "the same jobs" if shared == same_jobs else "the same weights"
    told = "with the same scores"
    if any(scores[0][seed] != scores[1][seed] for seed in shared):
        told = "with other scores: machines, threads or library versions round differently"
    alone = [", ".join(str(seed) for seed in seeds if seed not in shared) for seeds in own]
    if not any(alone):
        return f"{what}, {told}"
    rest = " and ".join(
        f"the {name} alone has seeds {seeds}" for name, seeds in zip(("first", "second"), alone, strict=True) if seeds
    )
    return f"seeds {', '.join(map(str, shared))} are {what}, {told}; {rest}"


def _same_weights(one: RunCell, other: RunCell, first: Side, second: Side) -> bool:
    """Whether two runs on one base model ended with the same weights."""
    hashes = [
        side.store.record(run.train.kind, run.train.id).facts.get("weights_sha256")
        for run, side in ((one, first), (other, second))
    ]
    return one.base_model == other.base_model and hashes[0] is not None and hashes[0] == hashes[1]


def _comparison(
    first: Side, second: Side, runs: tuple[list[RunCell], list[RunCell]], *, same_seeds_mean_the_same: bool
) -> tuple[Comparison, Relation]:
    tasks = runs[0][0].task, runs[1][0].task
    metric = tasks[0].primary_metric
    missing = [
        f"{side.name}: {why}"
        for side, own in zip((first, second), runs, strict=True)
        for run in own
        if (why := why_missing(run, side.store))
    ]
    if missing:
        told = f"{len(missing)} of {len(runs[0]) + len(runs[1])} runs are not there, the first: {missing[0]}"
        return not_comparable(told), "not comparable"
    if tasks[1].primary_metric != metric:
        told = f"the first is scored by {metric}, the second by {tasks[1].primary_metric}"
        return not_comparable(told), "not comparable"
    alike = twins(runs[0], first.store) or twins(runs[1], second.store)
    if alike:
        return not_comparable(alike), "not comparable"
    score = score_of(tasks[0], metric)
    try:
        old = arm_of_runs(runs[0], first.store, tasks[0], metric)
        new = arm_of_runs(runs[1], second.store, tasks[1], metric)
        same_examples = _fingerprint(runs[0][0], first.store) == _fingerprint(runs[1][0], second.store) and set(
            old.example_ids
        ) == set(new.example_ids)
        found = compare(
            new,
            old,
            score,
            paired_by_seed=same_seeds_mean_the_same and set(old.seeds) == set(new.seeds),
            same_examples=same_examples,
        )
    except ValueError as error:
        return not_comparable(str(error), higher_is_better=score.higher_is_better), "not comparable"
    return found, "same examples" if same_examples else "other examples"


def _mean(scores: Sequence[float]) -> float | None:
    return statistics.fmean(scores) if scores else None


def _fingerprint(run: RunCell, store: Store) -> object:
    return store.record(run.evaluate.kind, run.evaluate.id).facts.get("data_fingerprint")


def _changes(first: Side, second: Side) -> Iterator[Change]:
    told = [_flat(side.plan.study.model_dump(mode="json", exclude={"name", "question"})) for side in (first, second)]
    yield from _differences(told[0], told[1])
    ran = [_ran_with(side) for side in (first, second)]
    yield from _differences(ran[0], ran[1])


def _differences(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Change]:
    told: set[str] = set()
    for what in dict.fromkeys([*first, *second]):
        if first.get(what) == second.get(what):
            continue
        entry = ".".join(what.split(".")[:2])
        sides = [any(one == entry or one.startswith(f"{entry}.") for one in side) for side in (first, second)]
        if all(sides) or entry == what:
            yield Change(what=what, first=first.get(what, ""), second=second.get(what, ""))
        elif entry not in told:  # a task or method that one of them has: not one line per setting of it
            told.add(entry)
            yield Change(what=entry, first="there" if sides[0] else "", second="there" if sides[1] else "")


def _flat(value: Any, at: str = "") -> dict[str, str]:
    """Dotted place -> value; entries of a list with a name are told by it."""
    if isinstance(value, dict):
        return {
            key: told
            for name, part in value.items()
            for key, told in _flat(part, f"{at}.{name}" if at else name).items()
        }
    if isinstance(value, list) and all(isinstance(part, dict) and "name" in part for part in value):
        return {key: told for part in value for key, told in _flat(part, f"{at}.{part['name']}").items()}
    return {at: ", ".join(map(str, value)) if isinstance(value, list) else str(value)}


def _ran_with(side: Side) -> dict[str, str]:
    """What the finished jobs' records say of libraries, machines and commits."""
    found: dict[str, dict[str, None]] = {}
    for job in side.plan.jobs:
        if state_of(job, side.store)[0] != "done":
            continue
        record = side.store.record(job.kind, job.id)
        for name, version in record.versions.items():
            found.setdefault(f"version of {name}", {})[version] = None
        found.setdefault("processor", {})[record.machine.processor] = None
        for gpu in record.machine.gpus or ():
            found.setdefault("GPU", {})[gpu] = None
        found.setdefault("commit of tunescope", {})[str(record.commit)] = None
    return {what: ", ".join(values) for what, values in found.items()}
