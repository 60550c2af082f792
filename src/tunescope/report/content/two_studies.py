"""What changed from one study to another, and whether it is real, as a report says it."""

from __future__ import annotations

from tunescope.analysis.two_studies import CellChange, TwoStudies
from tunescope.report.content import numbers
from tunescope.report.content.section import Report, Section, Sentence
from tunescope.report.content.table import Column, Row, Table, text

_LONGEST = 200
"""Characters of a setting that are shown; longer ones (a list of search ranges) are cut."""


def two_studies_content(found: TwoStudies) -> Report:
    """The comparison of two studies as a report: verdicts, scores side by side, and what differs in what was asked."""
    decided: list[Sentence] = []
    open_questions: list[Sentence] = []
    for number, cell in enumerate(found.cells):
        sentence = _sentence(cell, found, _id(number))
        (open_questions if sentence.tone == "doubt" else decided).append(sentence)
    names = found.first.name, found.second.name
    return Report(
        study=f"{names[0]} and {names[1]}",
        question=f"What changed from {names[0]} to {names[1]}, and which changes are real?",
        methods=tuple(dict.fromkeys(cell.method for cell in found.cells)),
        summary=(Sentence(text=_summary(found)),),
        verdicts=tuple(decided),
        undecided=tuple(open_questions),
        sections=(_scores(found), _asked(found), _unmatched(found)),
    )


def _summary(found: TwoStudies) -> str:
    told = f"{numbers.plural(len(found.cells), 'task and method', 'tasks and methods')} in both"
    rest = len(found.only_first) + len(found.only_second)
    return f"{told}, {rest} in one alone. Differences are {found.second.name} minus {found.first.name}."


def _sentence(cell: CellChange, found: TwoStudies, anchor: str) -> Sentence:
    where = f"{cell.method} on {cell.task}"
    if cell.base_models[0] != cell.base_models[1]:
        where += f" ({numbers.model_name(cell.base_models[0])} to {numbers.model_name(cell.base_models[1])})"
    if cell.relation == "same runs":
        return Sentence(text=f"{where}: {cell.note}.", anchor=anchor)
    difference = cell.comparison.difference
    if difference.value is None:
        return Sentence(
            text=f"{where}: not estimable: {cell.verdict.why or cell.comparison.reason}.", anchor=anchor, tone="doubt"
        )
    told = numbers.with_unit(numbers.difference_of(difference.value, cell.metric), cell.metric)
    interval = numbers.interval_of(difference.ci_low, difference.ci_high, cell.metric)
    others = "; the two were scored on other examples" if cell.relation == "other examples" else ""
    if cell.verdict.answer == "undecided":
        return Sentence(
            text=f"{where}: {told} {interval} ({_details(cell)}), undecided: {cell.verdict.why}{others}.",
            anchor=anchor,
            tone="doubt",
        )
    return Sentence(
        text=f"{where} is {cell.verdict.answer} in {found.second.name}: {told} {interval} ({_details(cell)}){others}.",
        anchor=anchor,
    )


def _details(cell: CellChange) -> str:
    """What the estimate is of: the score, how many seeds, the interval's level."""
    first, second = cell.comparison.num_seeds
    seeds = numbers.plural(first, "seed") if first == second else f"{second} against {first} seeds"
    difference = cell.comparison.difference
    level = "" if difference.ci_low is None else f", {100.0 * difference.level:.4g}% interval"
    return f"{cell.metric}, {seeds}{level}"


def _scores(found: TwoStudies) -> Section:
    columns = (
        *(Column(name=name, is_key=True) for name in ("task", "method")),
        *(Column(name=name) for name in ("score", "examples")),
        *(Column(name=name, kind="number") for name in (found.first.name, found.second.name, "difference")),
        *(Column(name=name) for name in ("95% interval", "verdict", "note")),
    )
    table = Table(
        id="scores-table",
        caption=f"Scores of {found.first.name} and {found.second.name}, means over seeds",
        columns=columns,
        rows=tuple(_score_row(cell, _id(number)) for number, cell in enumerate(found.cells)),
        note=(
            "Seeds are paired where both studies have the same on one base model; examples where both scored the same. "
            "Verdicts are after Holm's correction over all rows but the same runs."
        ),
    )
    missing = "" if found.cells else "The two studies have no task and method in common on one base model."
    return Section(id="scores", title="Scores side by side", tables=(table,) if found.cells else (), missing=missing)


def _score_row(cell: CellChange, id: str) -> Row:
    comparison, difference = cell.comparison, cell.comparison.difference
    answer = "same runs" if cell.relation == "same runs" else cell.verdict.answer
    return Row(
        id=id,
        cells=(
            text(cell.task),
            text(cell.method),
            text(cell.metric),
            text("same" if cell.relation in ("same runs", "same examples") else "other"),
            numbers.score_cell(cell.means[0], cell.metric),
            numbers.score_cell(cell.means[1], cell.metric),
            numbers.difference_cell(difference.value, cell.metric),
            text(numbers.interval_of(difference.ci_low, difference.ci_high, cell.metric) or numbers.NOTHING),
            text(answer, tone="doubt" if answer in ("undecided", "not estimable") else ""),
            text(cell.note or comparison.reason),
        ),
    )


def _asked(found: TwoStudies) -> Section:
    table = Table(
        id="changes-table",
        caption="What differs in the studies, and in what they ran with",
        columns=(
            Column(name="what", is_key=True),
            Column(name=found.first.name),
            Column(name=found.second.name),
        ),
        rows=tuple(
            Row(cells=tuple(text(_cut(one)) for one in (change.what, change.first, change.second)))
            for change in found.changes
        ),
        can_filter=len(found.changes) > 20,
    )
    if not found.changes:
        return Section(
            id="changes", title="What was asked", missing="Both ask the same, and ran with the same versions."
        )
    return Section(id="changes", title="What was asked", tables=(table,))


def _unmatched(found: TwoStudies) -> Section:
    told = [
        Sentence(text=f"Only in {side.name}: {', '.join(rest)}.")
        for side, rest in ((found.first, found.only_first), (found.second, found.only_second))
        if rest
    ]
    missing = "" if told else "Every task and method is in both."
    return Section(id="unmatched", title="In one alone", sentences=tuple(told), missing=missing)


def _id(number: int) -> str:
    return f"change-{number + 1}"


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
