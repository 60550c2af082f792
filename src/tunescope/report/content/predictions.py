"""Predictions: examples that methods answer differently, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.disagreements import MOST_CHARACTERS, Disagreement, Disagreements
from tunescope.analysis.findings import Findings
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor
from tunescope.report.content.places import place_cells, place_columns, place_words
from tunescope.report.content.section import Example, Section, Sentence
from tunescope.report.content.table import Column, Row, Table, text
from tunescope.study.spec import StudySpec

ID, TITLE = "predictions", "Predictions"
MOST_EXAMPLES = 800
"""Of a report, over all its tasks: more would make the page slow to open."""
_LEAST_EXAMPLES = 10
"""Of each task, however many tasks there are."""


def predictions_section(findings: Findings) -> Section:
    """Where methods disagree, those examples first on which they differ most."""
    study = findings.plan.study
    found = findings.disagreements
    if not any(one.num_examples for one in found):
        return Section(id=ID, title=TITLE, missing=_why_nothing(findings))
    most = max(_LEAST_EXAMPLES, MOST_EXAMPLES // len(found))
    examples = tuple(_example(study, one, example) for one in found for example in one.examples[:most])
    sentences: list[Sentence] = []
    for one in found:
        sentences += _sentences(study, one, min(most, len(one.examples)))
    if any(example.is_cut for one in found for example in one.examples[:most]):
        sentences.append(
            Sentence(
                text=f"Texts longer than {MOST_CHARACTERS:,} characters are cut; the store has them whole.",
                tone="faint",
            )
        )
    return Section(id=ID, title=TITLE, sentences=tuple(sentences), tables=(_table(study, found),), examples=examples)


def _why_nothing(findings: Findings) -> str:
    study = findings.plan.study
    if len(study.methods) == 1:
        return "Nothing to set side by side: the study has one method. Name another under `methods:`; finished runs are kept."
    return "Nothing to set side by side yet: no task has finished runs of two methods. Run the study again to go on from here."


def _sentences(study: StudySpec, one: Disagreements, num_shown: int) -> list[Sentence]:
    place = place_words(study, (one.base_model, one.task))
    told = []
    if one.num_examples:
        shown = (
            "" if num_shown >= one.num_differing else f"; shown: the {num_shown} with the largest gap between methods"
        )
        told.append(
            Sentence(
                text=f"On {place}, {one.num_differing:,} of {numbers.plural(one.num_examples, 'example')} are not answered alike by "
                f"all {one.num_runs} runs{shown}.",
                anchor="predictions-counts",
            )
        )
    if one.reason:
        told.append(Sentence(text=f"{place}: {one.reason}.", tone="doubt"))
    if one.score_name == "absolute error":
        told.append(Sentence(text=f"{place}: answers are numbers, so none is simply right or wrong.", tone="faint"))
    return told


def _example(study: StudySpec, one: Disagreements, example: Disagreement) -> Example:
    is_share = one.score_name != "absolute error"
    return Example(
        id=example.id,
        task=place_words(study, (one.base_model, one.task)),
        texts=example.texts,
        target=example.target,
        answers=tuple(
            (f"{answer.method} seed {answer.seed}", answer.answer, answer.is_right) for answer in example.answers
        ),
        share_right=dict(example.mean_scores) if is_share else {},
    )


def _table(study: StudySpec, found: Sequence[Disagreements]) -> Table:
    rows = [
        Row(
            cells=(
                *place_cells(study, one.base_model, one.task),
                numbers.number(one.num_runs),
                numbers.number(one.num_examples, anchor=job_anchor(one.job)),
                numbers.number(one.num_differing, anchor=job_anchor(one.job)),
                text(one.score_name),
                text(one.job or numbers.NOTHING, anchor=job_anchor(one.job)),
            )
        )
        for one in found
    ]
    return Table(
        id="predictions-counts",
        caption="How many examples are not answered alike",
        columns=(
            *place_columns(study),
            Column(name="runs", kind="number"),
            Column(name="examples", kind="number"),
            Column(name="not answered alike", kind="number"),
            Column(name="judged by"),
            Column(name="texts from job"),
        ),
        rows=tuple(rows),
    )
