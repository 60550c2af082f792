"""A table of scores -> who is really better than whom: every pair tested, Holm over all of them, ranks with their range.

A rank is a count of comparisons, so it inherits their errors. With all pairs tested at a family-wise level alpha, a method's
rank lies between 1 + (methods found better) and k - (methods found worse), for all methods at once with confidence 1 - alpha
(Mogstad, Romano, Shaikh & Wilhelm, 2024, doi:10.1093/restud/rdad006, with Holm's step-down in place of their bootstrap).
Holm's proof counts false findings and not true ones of the wrong sign, which are far rarer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

from tunescope.analysis.tables.direction import Direction, direction_of, has_no_examples
from tunescope.analysis.tables.pairwise import Evidence, Units, evidence, mean_of, mean_score, scored
from tunescope.analysis.tables.scores_file import ScoreRow, ScoreTable
from tunescope.errors import DataError, did_you_mean
from tunescope.stats.estimate import Estimate, TestResult
from tunescope.stats.holm import holm
from tunescope.stats.proportions import PairingBounds

PairVerdict = Literal["better", "better on these examples", "undecided", "not estimable"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two methods of one ranking; `above` stands above `below` in it, or level with it."""

    task: str
    metric: str
    above: str
    below: str
    is_adjacent: bool
    """Whether nothing stands between the two."""
    difference: Estimate
    """Score of `above` minus score of `below`, in the metric's unit: negative where lower is better."""
    test: TestResult
    p_holm: float | None
    """The test's p-value after Holm over the whole family."""
    units: Units
    verdict: PairVerdict
    """`better`: `above` really is better, at the family's alpha. `better on these examples`: seeds agree, and nothing tells
    whether other examples would; such a pair moves no rank."""
    pairing: PairingBounds | None
    holm_least: float | None
    """Holm-adjusted p were every pair of the family as well paired as its counts allow; None without `pairing`."""
    holm_greatest: float | None
    """And were every one as badly paired."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One method of one ranking."""

    method: str
    score: Estimate
    rank: int | None
    """1 is best, equals share the better rank; None where there is no score."""
    rank_low: int | None
    """The best rank it could have, all pairs considered at once; None where the family holds only some pairs."""
    rank_high: int | None
    """The worst."""
    num_better: int
    """Methods found better than this one."""
    num_worse: int
    """Methods found worse."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All methods of one task and metric, best first; those without a score last."""

    task: str
    metric: str
    direction: Direction
    entries: tuple[Entry, ...]
    pairs: tuple[Pair, ...]

    @property
    def is_higher_better(self) -> bool:
        return self.direction.is_higher_better

    @property
    def ranked(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.rank is not None)

    @property
    def adjacent(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.is_adjacent)

    @property
    def level_with_best(self) -> tuple[Entry, ...]:
        """Those methods than which the first is not found better, itself included."""
        if not self.ranked:
            return ()
        best = self.ranked[0].method
        beaten = {pair.below for pair in self.pairs if pair.above == best and pair.verdict == "better"}
        return tuple(entry for entry in self.ranked if entry.method not in beaten)


@dataclass(frozen=True, kw_only=True)
class Rankings:
    """What `tunescope compare` found."""

    source: str
    alpha: float
    """Chance of one or more false findings in the whole family."""
    reference: str | None
    """The method that every other is compared with; None where all pairs are the family."""
    family_size: int
    """Comparisons with a p-value, over all rankings."""
    rankings: tuple[Ranking, ...]
    notes: tuple[str, ...]


def rank_all(
    table: ScoreTable,
    *,
    reference: str | None = None,
    alpha: float = 0.05,
    higher_is_better: Mapping[str, bool] | None = None,
) -> Rankings:
    """Ranks the methods of every task and metric of a table, and tests all pairs as one family.

    Args:
        table: As a reader gives it.
        reference: Compare every method with this one only: a smaller family, but no range of ranks.
        alpha: Family-wise error rate; intervals are at 1 - alpha, each for itself.
        higher_is_better: By metric, what the user says of it; of others their names decide (`direction`).

    Raises:
        DataError: If no two methods share a task and metric, the reference is not among the methods, or `higher_is_better`
            names a metric that is not there.
    """
    directions = _directions(table, higher_is_better or {})
    groups: dict[tuple[str, str], dict[str, list[ScoreRow]]] = {}
    for row in table.rows:
        groups.setdefault((row.task, row.metric), {}).setdefault(row.method, []).append(row)
    if all(len(methods) < 2 for methods in groups.values()):
        raise DataError(
            f"{table.source}: expected two methods or more with the same task and metric, found "
            f"{'; '.join(sorted({row.method for row in table.rows}))}. Nothing is left to compare."
        )
    known = {row.method for row in table.rows}
    if reference is not None and reference not in known:
        raise DataError(
            f"{table.source}: reference '{reference}' is not a method of it. {did_you_mean(reference, known)}"
        )
    drafts = [
        (key, methods, order := _order(directions[key[1]], methods), _evidence_of(order, methods, reference, 1 - alpha))
        for key, methods in groups.items()
    ]
    found = [one for *_, by_pair in drafts for one in by_pair.values()]
    adjusted = iter(_adjusted(found))
    rankings = tuple(
        _ranking(
            key,
            directions[key[1]],
            methods,
            order,
            {names: (one, next(adjusted)) for names, one in by_pair.items()},
            reference,
            alpha,
        )
        for key, methods, order, by_pair in drafts
    )
    return Rankings(
        source=table.source,
        alpha=alpha,
        reference=reference,
        family_size=sum(one.test.p_value is not None for one in found),
        rankings=rankings,
        notes=(*table.notes, *_notes(rankings, alpha)),
    )


_Adjusted = tuple[float | None, float | None, float | None]
"""Holm-adjusted p as tested, with the best pairing and with the worst."""


def _directions(table: ScoreTable, said: Mapping[str, bool]) -> dict[str, Direction]:
    metrics = list(dict.fromkeys(row.metric for row in table.rows))
    for name in said:
        if name not in metrics:
            raise DataError(f"{table.source}: no scores of measure '{name}'. {did_you_mean(name, metrics)}")
    return {
        metric: Direction(is_higher_better=said[metric], source="said") if metric in said else direction_of(metric)
        for metric in metrics
    }


def _order(direction: Direction, methods: Mapping[str, Sequence[ScoreRow]]) -> list[str]:
    """Methods best first, in the file's order where equal; those without a score last."""
    sign = -1.0 if direction.is_higher_better else 1.0
    means = {name: _mean(rows) for name, rows in methods.items()}
    return sorted(means, key=lambda name: (means[name] is None, sign * (means[name] or 0.0)))


def _mean(rows: Sequence[ScoreRow]) -> float | None:
    found = scored(rows)
    return mean_of(found) if found else None


def _evidence_of(
    order: Sequence[str], methods: Mapping[str, Sequence[ScoreRow]], reference: str | None, level: float
) -> dict[tuple[str, str], Evidence]:
    return {
        (above, below): evidence(methods[above], methods[below], level=level)
        for above, below in combinations(order, 2)
        if reference is None or reference in (above, below)
    }


def _adjusted(found: Sequence[Evidence]) -> list[_Adjusted]:
    plain = [one.test.p_value for one in found]
    least = [one.test.p_value if one.pairing is None else one.pairing.least_p for one in found]
    greatest = [one.test.p_value if one.pairing is None else one.pairing.greatest_p for one in found]
    columns = [holm(p_values) for p_values in (plain, least, greatest)]
    return [
        (
            None if one.test.p_value is None else float(columns[0][place]),
            None if one.pairing is None else float(columns[1][place]),
            None if one.pairing is None else float(columns[2][place]),
        )
        for place, one in enumerate(found)
    ]


def _ranking(
    key: tuple[str, str],
    direction: Direction,
    methods: Mapping[str, Sequence[ScoreRow]],
    order: Sequence[str],
    tested: Mapping[tuple[str, str], tuple[Evidence, _Adjusted]],
    reference: str | None,
    alpha: float,
) -> Ranking:
    task, metric = key
    means = {name: _mean(methods[name]) for name in order}
    ranked = [name for name in order if means[name] is not None]
    neighbours = set(pairwise(ranked))
    pairs = tuple(
        _pair(task, metric, names, one, adjusted, names in neighbours, alpha)
        for names, (one, adjusted) in tested.items()
    )
    losses = {name: sum(pair.verdict == "better" and pair.below == name for pair in pairs) for name in order}
    wins = {name: sum(pair.verdict == "better" and pair.above == name for pair in pairs) for name in order}
    entries = tuple(
        Entry(
            method=name,
            score=mean_score(methods[name], level=1 - alpha),
            rank=None if means[name] is None else 1 + [means[other] for other in ranked].index(means[name]),
            rank_low=None if means[name] is None or reference is not None else 1 + losses[name],
            rank_high=None if means[name] is None or reference is not None else len(ranked) - wins[name],
            num_better=losses[name],
            num_worse=wins[name],
        )
        for name in order
    )
    return Ranking(task=task, metric=metric, direction=direction, entries=entries, pairs=pairs)


def _pair(
    task: str,
    metric: str,
    names: tuple[str, str],
    one: Evidence,
    adjusted: _Adjusted,
    is_adjacent: bool,
    alpha: float,
) -> Pair:
    p_holm, holm_least, holm_greatest = adjusted
    found: PairVerdict = (
        "better on these examples" if one.units == "seeds" and not has_no_examples(metric) else "better"
    )
    verdict: PairVerdict = "not estimable" if p_holm is None else found if p_holm <= alpha else "undecided"
    return Pair(
        task=task,
        metric=metric,
        above=names[0],
        below=names[1],
        is_adjacent=is_adjacent,
        difference=one.difference,
        test=one.test,
        p_holm=p_holm,
        units=one.units,
        verdict=verdict,
        pairing=one.pairing,
        holm_least=holm_least,
        holm_greatest=holm_greatest,
        reason=one.test.reason or one.difference.reason,
    )


def _notes(rankings: Sequence[Ranking], alpha: float) -> list[str]:
    """What every reader of these rankings must know, once each."""
    notes: dict[str, None] = {}
    pairs = [pair for ranking in rankings for pair in ranking.pairs]
    if any(pair.units == "examples" for pair in pairs):
        notes[
            "one seed: intervals and tests are over examples only. They speak of these trained models on new examples, "
            "not of the methods trained again with another seed"
        ] = None
    if any(pair.pairing is not None for pair in pairs):
        notes[
            "tests take the answers of two methods for independent. If both answered the same examples, as in a benchmark, "
            "answers by example would give another p: never below the least nor above the greatest shown"
        ] = None
    alone = dict.fromkeys(pair.metric for pair in pairs if pair.units == "seeds" and not has_no_examples(pair.metric))
    if alone:
        notes[
            f"{', '.join(alone)}: seeds alone. Intervals and tests speak of these very examples, and other examples may turn "
            "them round, so that no method is called better. Give num_examples where a score is a share of right answers, or "
            "answers by example; a study's own runs have them: tunescope compare STUDY.yaml"
        ] = None
    for ranking in rankings:
        name = " ".join(part for part in (ranking.task, ranking.metric) if part)
        notes |= dict.fromkeys(_direction_told(ranking.metric, ranking.direction))
        if len(ranking.ranked) > 1 and ranking.ranked[-1].rank == 1:
            notes[f"{name}: all {len(ranking.ranked)} scores are equal"] = None
    return [*notes, *_out_of_reach(pairs, alpha)]


def _direction_told(metric: str, direction: Direction) -> list[str]:
    """What is said of a metric's direction; nothing where more is better and is known to be."""
    way, other = ("higher", "lower") if direction.is_higher_better else ("lower", "higher")
    if direction.source == "assumed":
        return [f"{metric}: {way} is taken to be better, as its name does not say; else --{other}-is-better '{metric}'"]
    if direction.source == "name" and not direction.is_higher_better:
        return [f"{metric}: {way} is better, by its name; else --{other}-is-better '{metric}'"]
    return [] if direction.is_higher_better else [f"{metric}: {way} is better"]


def _out_of_reach(pairs: Sequence[Pair], alpha: float) -> list[str]:
    """Said where even the clearest result could not have survived Holm, as with three seeds."""
    limits = [pair.test.smallest_p for pair in pairs if pair.test.p_value is not None]
    least = [limit for limit in limits if limit is not None]
    if not limits or len(least) < len(limits) or min(least) * len(limits) <= alpha:
        return []
    way = "more seeds" if min(least) > alpha else "more seeds or a smaller family (--reference)"
    return [
        f"data of this size allow no p below {min(least):.3g}, which Holm multiplies by up to {len(limits):,}: "
        f"only {way} would allow a finding"
    ]
