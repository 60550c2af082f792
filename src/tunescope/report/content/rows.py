"""All rows: every score of every run and baseline, where every number of the page leads."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.collect import ResultRow
from tunescope.analysis.findings import Findings
from tunescope.report.content import numbers
from tunescope.report.content.anchors import cell_anchor, job_anchor
from tunescope.report.content.places import place_cells, place_columns
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.table import Column, Row, Table, text
from tunescope.study.spec import StudySpec

ID, TITLE = "rows", "All rows"


def rows_section(findings: Findings) -> Section:
    """The tidy table of results; `tunescope results` writes the same with all its columns."""
    study = findings.plan.study
    told = Sentence(
        text="One row per run or baseline and score. The table beside this page and `tunescope results` have more columns, "
        "unrounded.",
        tone="faint",
    )
    return Section(id=ID, title=TITLE, sentences=(told,), tables=(_table(study, findings.rows),))


def _table(study: StudySpec, rows: Sequence[ResultRow]) -> Table:
    named: set[str] = set()
    shown = []
    for number, row in enumerate(rows):
        anchor = cell_anchor(row)
        shown.append(_row(study, row, f"row-{number + 1}" if anchor in named else anchor))
        named.add(anchor)
    return Table(
        id="rows-all",
        caption="Every score of every run and baseline",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="seed", kind="number", is_key=True),
            Column(name="score", is_key=True),
            Column(name="value", kind="number"),
            Column(name="examples", kind="number"),
            Column(name="split"),
            Column(name="state"),
            Column(name="remarks"),
            Column(name="trained parameters", kind="number"),
            Column(name="training time", kind="number"),
            Column(name="peak memory", kind="number"),
            Column(name="scored by job"),
            Column(name="trained by job"),
        ),
        rows=tuple(shown),
        note="Shares in percent here, as shares of one in the files.",
        can_filter=True,
    )


def _row(study: StudySpec, row: ResultRow, row_id: str) -> Row:
    remarks = "; ".join(part for part in (row.reason, row.flags) if part)
    memory = row.peak_memory_gib
    return Row(
        id=row_id,
        cells=(
            *place_cells(study, row.base_model, row.task),
            text(row.method if row.kind == "run" else f"baseline: {row.method.replace('_', '-')}"),
            numbers.number(row.seed, "" if row.seed is None else str(row.seed)),
            text(row.metric),
            numbers.score_cell(row.value, row.metric, anchor=job_anchor(row.job)),
            numbers.number(row.num_examples),
            text(row.split or ""),
            text(row.state, tone="bad" if row.state == "failed" else ""),
            text(remarks, tone="bad" if row.state == "failed" else "doubt" if row.flags else ""),
            numbers.number(row.trainable_parameters),
            numbers.number(row.train_s, "" if row.train_s is None else numbers.seconds(row.train_s)),
            numbers.number(memory, "" if memory is None else f"{memory:.3g} GiB"),
            text(row.job, anchor=job_anchor(row.job)),
            text(row.train_job or "", anchor=job_anchor(row.train_job)),
        ),
    )
