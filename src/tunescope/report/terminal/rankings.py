"""What `tunescope compare` found, as a person reads it on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.analysis.tables.rankings import Entry, Pair, Ranking, Rankings
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert
from tunescope.stats.estimate import Estimate


def compare_summary(found: Rankings) -> RenderableType:
    """A table per task and metric: a line a method, best first; what survives in words above, what to know of it below."""
    parts: list[RenderableType] = []
    for ranking in found.rankings:
        parts.append(Text(inert(_title(ranking)), style="bold"))
        parts.append(Blocks(_table(ranking, found.reference), num_keys=3 if found.reference is None else 2))
        parts.extend(Text(inert(line)) for line in _verdicts(ranking, found))
    missing = [
        (f"{ranking.task} {entry.method}".strip(), entry.score.reason)
        for ranking in found.rankings
        for entry in ranking.entries
        if entry.rank is None
    ]
    parts.extend(Text(inert(f"not estimable: {name}: {reason}"), style="red") for name, reason in missing)
    parts.extend(Text(inert(line), style="yellow") for line in _flaws(found))
    parts.extend(Text(inert(line), style="dim") for line in [*found.notes, *_legend(found)])
    return Group(*parts)


def _title(ranking: Ranking) -> str:
    name = " ".join(part for part in (ranking.task, ranking.metric) if part)
    counts = sorted({entry.score.num_examples for entry in ranking.ranked if entry.score.num_examples is not None})
    seeds = sorted({entry.score.num_seeds or 1 for entry in ranking.ranked})
    told = [f"{len(ranking.entries)} methods"]
    told += [f"{'/'.join(map(str, seeds))} seed{'' if seeds == [1] else 's'}"] if seeds else []
    told += [f"{'/'.join(f'{count:,}' for count in counts)} examples"] if counts else []
    told += [f"{'higher' if ranking.is_higher_better else 'lower'} is better"]
    return f"{name}: {', '.join(told)}"


def _table(ranking: Ranking, reference: str | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("rank", justify="right", no_wrap=True)
    if reference is None:
        table.add_column("could be", justify="right", no_wrap=True)
    table.add_column("method", overflow="fold")
    table.add_column("score", justify="right", no_wrap=True, style="bold")
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("minus next" if reference is None else "minus reference", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("Holm", justify="right", no_wrap=True)
    table.add_column("real?", no_wrap=True)
    for entry in ranking.entries:
        table.add_row(*_cells(entry, ranking, reference))
    return table


def _cells(entry: Entry, ranking: Ranking, reference: str | None) -> list[Text]:
    cells = [_text(None if entry.rank is None else str(entry.rank))]
    if reference is None:
        cells.append(_text(None if entry.rank_low is None else _range(entry)))
    cells += [
        Text(inert(entry.method)),
        _text(None if entry.score.value is None else _shown(entry.score.value, ranking)),
        _text(_interval(entry.score, ranking, 1)),
    ]
    pair = _beside(entry, ranking, reference)
    if pair is None:
        return [*cells, *[Text("")] * 4]
    sign = -1 if reference is not None and pair.below == entry.method else 1
    cells += [
        _text(_difference(pair.difference, ranking, sign)),
        _text(None if pair.test.p_value is None else _p(pair.test.p_value)),
        _text(None if pair.p_holm is None else _p(pair.p_holm)),
    ]
    way = "better" if pair.above == entry.method else "worse"
    if pair.verdict == "better":
        return [*cells, Text("yes" if reference is None else way, style="green")]
    if pair.verdict == "better on these examples":
        return [*cells, Text("these examples" if reference is None else f"{way}, these examples", style="yellow")]
    return [*cells, Text(pair.verdict, style="dim")]


def _beside(entry: Entry, ranking: Ranking, reference: str | None) -> Pair | None:
    """The comparison shown on a method's line: with the next one, or with the reference."""
    if reference is None:
        return next((pair for pair in ranking.adjacent if pair.above == entry.method), None)
    return next(
        (pair for pair in ranking.pairs if entry.method != reference and entry.method in (pair.above, pair.below)), None
    )


def _verdicts(ranking: Ranking, found: Rankings) -> list[str]:
    """What survives, counted."""
    tested = [pair for pair in ranking.pairs if pair.p_holm is not None]
    if not tested:
        named = {entry.method for entry in ranking.ranked}
        reasons = dict.fromkeys(pair.reason for pair in ranking.pairs if {pair.above, pair.below} <= named)
        return [f"no comparison is estimable, the order above may be noise: {'; '.join(reasons)}"]
    real = sum(pair.verdict == "better" for pair in tested)
    here = sum(pair.verdict == "better on these examples" for pair in tested)
    alone = [f"of these examples alone {here:,} of {len(tested):,} survive; of others nothing is known"] if here else []
    if found.reference is not None:
        return [f"{real} of {len(tested)} differences from {found.reference} survive at {_level(found)}", *alone]
    adjacent = [pair for pair in ranking.adjacent if pair.p_holm is not None]
    kept = sum(pair.verdict == "better" for pair in adjacent)
    level = ranking.level_with_best
    lines = [
        f"{kept} of {len(adjacent)} neighbouring places and {real:,} of {len(tested):,} pairs survive at {_level(found)}",
        *alone,
        f"not told from the best, {ranking.ranked[0].method}: {len(level) - 1} of {len(ranking.ranked) - 1} others",
    ]
    bounded = [pair for pair in tested if pair.holm_least is not None and pair.holm_greatest is not None]
    if bounded:
        sure = sum((pair.holm_greatest or 0.0) <= found.alpha for pair in bounded)
        possible = sum((pair.holm_least or 0.0) <= found.alpha for pair in bounded)
        lines.append(
            f"if all answered the same examples: {sure:,} pairs survive however the right answers coincide, "
            f"{possible - sure:,} more could, {len(bounded) - possible:,} cannot"
        )
    return lines


def _flaws(found: Rankings) -> list[str]:
    """What is odd about scores that stand in the table, each reason once with the methods it is about."""
    lines = []
    for ranking in found.rankings:
        by_reason: dict[str, list[str]] = {}
        for entry in ranking.ranked:
            if entry.score.reason:
                by_reason.setdefault(entry.score.reason, []).append(entry.method)
        for reason, names in by_reason.items():
            told = f"all {len(names)} methods" if len(names) == len(ranking.ranked) else ", ".join(names)
            lines.append(f"{ranking.task} {told}: {reason}".strip())
    return lines


def _legend(found: Rankings) -> list[str]:
    level = f"{100 * (1 - found.alpha):g}%"
    methods = dict.fromkeys(
        pair.difference.method for ranking in found.rankings for pair in ranking.pairs if pair.difference.method
    )
    tests = dict.fromkeys(pair.test.method for ranking in found.rankings for pair in ranking.pairs if pair.test.method)
    singles = dict.fromkeys(
        entry.score.method for ranking in found.rankings for entry in ranking.entries if entry.score.method
    )
    lines = []
    if found.reference is None:
        lines.append("could be: the ranks that all comparisons together leave open")
    lines.append(
        f"intervals at {level}, each for itself: scores: {'; '.join(singles) or 'none'}; differences: {'; '.join(methods) or 'none'}"
    )
    lines.append(
        f"p: {'; '.join(tests) or 'none'}; Holm: corrected for all {found.family_size:,} comparisons of {found.source}"
    )
    return lines


def _level(found: Rankings) -> str:
    return f"{100 * found.alpha:g}% (Holm, {found.family_size:,} comparisons)"


def _range(entry: Entry) -> str:
    return str(entry.rank_low) if entry.rank_low == entry.rank_high else f"{entry.rank_low}-{entry.rank_high}"


def _text(content: str | None) -> Text:
    return Text("-", style="dim") if content is None else Text(content)


def _is_percent(ranking: Ranking) -> bool:
    """Whether every score is a share of one, and so shown as percent."""
    values = [entry.score.value for entry in ranking.ranked if entry.score.value is not None]
    return ranking.is_higher_better and all(0 <= value <= 1 for value in values)


def _shown(value: float, ranking: Ranking, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{100 * value:{sign}.1f}" if _is_percent(ranking) else f"{value:{sign}.4g}"


def _interval(estimate: Estimate, ranking: Ranking, sign: int) -> str | None:
    if estimate.ci_low is None or estimate.ci_high is None:
        return None
    low, high = sorted((sign * estimate.ci_low, sign * estimate.ci_high))
    return f"{_shown(low, ranking)} to {_shown(high, ranking)}"


def _difference(estimate: Estimate, ranking: Ranking, sign: int) -> str | None:
    if estimate.value is None:
        return None
    interval = _interval(estimate, ranking, sign)
    return _shown(sign * estimate.value, ranking, signed=True) + (f" ({interval})" if interval else "")


def _p(value: float) -> str:
    return "<1e-99" if value < 1e-99 else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
