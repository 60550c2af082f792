"""Data: what was read, from where, how balanced, and what was cut off."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tunescope.analysis.data_read import PartRead, TaskRead
from tunescope.analysis.findings import Findings
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.table import Cell, Column, Row, Table, text

ID, TITLE = "data", "Data and truncation"


def data_section(findings: Findings) -> Section:
    """Sources, rows by part with their labels, truncation, rows seen before."""
    found = findings.data
    own_files = {task.name for task in findings.plan.study.tasks if task.dataset.files}
    tables = [_sources(found, own_files), _parts(found)]
    if any(task.truncated for task in found):
        tables.append(_truncation(found))
    return Section(id=ID, title=TITLE, sentences=tuple(_sentences(found)), tables=tuple(tables))


def _sentences(found: Sequence[TaskRead]) -> list[Sentence]:
    told = []
    for task in found:
        for cut in task.truncated:
            if cut.num_truncated:
                told.append(
                    Sentence(
                        text=f"{task.task}, {cut.part} rows: {cut.num_truncated:,} of {cut.num_examples:,} "
                        f"({numbers.percent(cut.share_truncated)}) lost text to max_length {task.max_length} under "
                        f"{numbers.model_name(cut.base_model)}.",
                        anchor="data-truncation",
                        tone="doubt",
                    )
                )
        if task.num_seen_before and task.share_seen_before is not None:
            told.append(
                Sentence(
                    text=f"{task.task}: {numbers.plural(task.num_seen_before, 'report row')} "
                    f"({numbers.percent(task.share_seen_before)}) have texts that occur in train or selection rows too.",
                    anchor="data-sources",
                    tone="doubt",
                )
            )
        kin = task.selection_kin
        if any(kin.get(name) for name in ("num_equal", "num_sharing", "num_inside")):
            told.append(
                Sentence(
                    text=f"{task.task}: of {kin['num_rows']:,} selection rows, {kin['num_equal']:,} equal a train row, "
                    f"{kin['num_sharing']:,} share a text with one and {kin['num_inside']:,} stand inside a longer one.",
                    anchor="data-parts",
                    tone="faint",
                )
            )
        if task.reason:
            told.append(Sentence(text=f"{task.task}: not all is known of its data: {task.reason}.", tone="faint"))
    if any(task.truncated for task in found) and not any(cut.num_truncated for task in found for cut in task.truncated):
        told.insert(0, Sentence(text="No example lost text to max_length.", anchor="data-truncation", tone="good"))
    return told


def _sources(found: Sequence[TaskRead], own_files: Collection[str]) -> Table:
    """Where each task's data come from; files of the study's own have no revision, only the bytes that were read."""
    rows = [
        Row(
            cells=(
                text(task.task),
                text(task.kind.replace("_", " ")),
                text(task.description),
                text(f"{task.source} {task.config}" if task.config else task.source),
                text(task.revision or ("" if task.task in own_files else "newest when it was fetched")),
                text(task.license),
                numbers.number(task.max_length),
                text(", ".join(task.metrics)),
                numbers.number(task.num_seen_before, anchor=job_anchor(task.job)),
                _fingerprint(task.train_fingerprint),
                _fingerprint(task.report_fingerprint),
            )
        )
        for task in found
    ]
    return Table(
        id="data-sources",
        caption="Tasks and where their data come from",
        columns=(
            Column(name="task", is_key=True),
            Column(name="kind"),
            Column(name="what it is"),
            Column(name="source"),
            Column(name="revision"),
            Column(name="licence"),
            Column(name="max length", kind="number"),
            Column(name="scores"),
            Column(name="report rows seen before", kind="number"),
            Column(name="train SHA-256"),
            Column(name="report SHA-256"),
        ),
        rows=tuple(rows),
        note="Seen before: the texts occur in train or selection rows. SHA-256: of the rows as they were read, first 12 digits shown.",
        can_filter=len(rows) > 12,
    )


def _parts(found: Sequence[TaskRead]) -> Table:
    rows = [
        Row(
            cells=(
                text(task.task),
                text(part.part),
                text(part.split),
                numbers.number(part.num_examples, anchor=job_anchor(task.job)),
                text(_balance(part), anchor=job_anchor(task.job)),
            )
        )
        for task in found
        for part in task.parts
    ]
    return Table(
        id="data-parts",
        caption="Rows of every part, and their labels",
        columns=(
            Column(name="task", is_key=True),
            Column(name="part", is_key=True),
            Column(name="split"),
            Column(name="rows", kind="number"),
            Column(name="labels"),
        ),
        rows=tuple(rows),
        note="Runs learn from train rows; settings, steps and thresholds are chosen on selection rows, carved out of the train "
        "split; scores are of report rows.",
        can_filter=len(rows) > 12,
    )


def _truncation(found: Sequence[TaskRead]) -> Table:
    rows = [
        Row(
            cells=(
                text(task.task),
                text(numbers.model_name(cut.base_model)),
                text(cut.part),
                numbers.number(cut.num_examples),
                numbers.number(cut.num_truncated, anchor=job_anchor(cut.job)),
                numbers.number(cut.share_truncated, numbers.percent(cut.share_truncated), anchor=job_anchor(cut.job)),
                numbers.number(cut.num_tokens_lost, anchor=job_anchor(cut.job)),
            )
        )
        for task in found
        for cut in task.truncated
    ]
    return Table(
        id="data-truncation",
        caption="What max_length cut off",
        columns=(
            Column(name="task", is_key=True),
            Column(name="base model", is_key=True),
            Column(name="part", is_key=True),
            Column(name="rows", kind="number"),
            Column(name="rows cut", kind="number"),
            Column(name="share cut", kind="number"),
            Column(name="tokens lost", kind="number"),
        ),
        rows=tuple(rows),
        can_filter=len(rows) > 12,
    )


def _balance(part: PartRead) -> str:
    return ", ".join(f"{label} {count:,}" for label, count in part.label_balance.items())


def _fingerprint(digest: str) -> Cell:
    return Cell(shown=digest[:12] or numbers.NOTHING, value=digest or None, tone="" if digest else "faint")
