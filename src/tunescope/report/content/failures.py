"""Failures and warnings: what did not run, what is odd about what did, and what the reader must know."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.findings import Findings
from tunescope.analysis.provenance import JobLine
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor
from tunescope.report.content.places import place_words
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.table import Column, Row, Table, text
from tunescope.report.notes import study_notes

ID, TITLE = "failures", "Failures and warnings"


def failures_section(findings: Findings) -> Section:
    """Failed jobs with their reasons, jobs still to come, flags, and notes on the study."""
    failed = [job for job in findings.jobs if job.state == "failed"]
    waiting = [job for job in findings.jobs if job.state == "missing" and job.is_wanted]
    tables = [
        *([_failed_table(failed)] if failed else []),
        *([_waiting_table(waiting)] if waiting else []),
    ]
    warnings = _warnings(findings)
    if not failed and not waiting and not warnings:
        told = Sentence(text="No job failed, none is left to do, and no run is flagged.", tone="good")
        return Section(id=ID, title=TITLE, sentences=(told,))
    sentences = []
    if failed:
        sentences.append(
            Sentence(text=f"{numbers.plural(len(failed), 'job')} failed.", anchor="failures-jobs", tone="bad")
        )
    if waiting:
        sentences.append(
            Sentence(
                text=f"{numbers.plural(len(waiting), 'job is', 'jobs are')} still to come.",
                anchor="failures-waiting",
                tone="doubt",
            )
        )
    return Section(id=ID, title=TITLE, sentences=(*sentences, *warnings), tables=tuple(tables))


def _warnings(findings: Findings) -> list[Sentence]:
    """Flags of runs, each once with those it is about; scores that are not defined; searches; notes on the study."""
    study = findings.plan.study
    flagged: dict[str, dict[str, str]] = {}
    undefined: dict[str, Sentence] = {}
    for row in findings.rows:
        if row.kind != "run":
            continue
        place = place_words(study, (row.base_model or "", row.task))
        name = f"{place} {row.method} seed {row.seed}"
        for flag in row.flags.split("; ") if row.flags else ():
            flagged.setdefault(flag, {})[name] = job_anchor(row.job)
        if row.state == "done" and row.value is None:
            why = f"No {row.metric} for {name}: {row.reason}."
            undefined[why] = Sentence(text=why, anchor=job_anchor(row.job), tone="doubt")
    told = [
        Sentence(text=f"{', '.join(names)}: {flag}.", anchor=next(iter(names.values())), tone="doubt")
        for flag, names in flagged.items()
    ]
    told += undefined.values()
    told += [
        Sentence(text=f"Sweep {sweep.title}: {warning}.", anchor="sweeps", tone="doubt")
        for sweep in findings.sweeps
        for warning in sweep.warnings
    ]
    return [*told, *(Sentence(text=f"{note}.", tone="doubt") for note in study_notes(study))]


def _failed_table(failed: Sequence[JobLine]) -> Table:
    rows = [
        Row(
            cells=(
                text(job.label, anchor=job_anchor(job.id)),
                text(job.kind.replace("_", " ")),
                text(job.error, tone="bad"),
                text(job.reason, tone="bad"),
                text(job.log),
            )
        )
        for job in failed
    ]
    return Table(
        id="failures-jobs",
        caption="Jobs that failed",
        columns=(
            Column(name="job", is_key=True),
            Column(name="kind"),
            Column(name="error"),
            Column(name="reason"),
            Column(name="log in the store"),
        ),
        rows=tuple(rows),
        note="A failed job gives no number. `tunescope run` tries it again.",
        can_filter=len(rows) > 12,
    )


def _waiting_table(waiting: Sequence[JobLine]) -> Table:
    rows = [
        Row(cells=(text(job.label, anchor=job_anchor(job.id)), text(job.kind.replace("_", " ")), text(job.reason)))
        for job in waiting
    ]
    return Table(
        id="failures-waiting",
        caption="Jobs still to come",
        columns=(Column(name="job", is_key=True), Column(name="kind"), Column(name="why it is not done")),
        rows=tuple(rows),
        can_filter=len(rows) > 12,
    )
