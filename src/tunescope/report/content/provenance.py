"""Provenance: which jobs, on which machines, with which code and bytes, and the commands that make the numbers again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tunescope.analysis.findings import Findings
from tunescope.analysis.provenance import Environment, JobLine, Provenance
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.study.spec import StudySpec

ID, TITLE = "provenance", "Provenance"
_MOST_FILES = 8


def provenance_section(findings: Findings) -> Section:
    """Environments, models, libraries, every job with its record, and what to type."""
    found = findings.provenance
    tables = []
    if found.environments:
        tables += [_environments(found.environments), _libraries(found.environments)]
    if found.models:
        tables.append(_models(found))
    tables.append(_jobs(findings.jobs))
    return Section(
        id=ID,
        title=TITLE,
        sentences=(*_sentences(found), *_own_files(findings.plan.study)),
        tables=tuple(tables),
        commands=_commands(found),
    )


def _commands(found: Provenance) -> tuple[str, ...]:
    """What to type, the study's text included."""
    if not found.study_text:
        return found.commands
    mark = "STUDY"
    while mark in found.study_text:
        mark += "_"
    study = f"cat > {found.study}.yaml <<'{mark}'\n{found.study_text.rstrip()}\n{mark}"
    runs = [place for place, command in enumerate(found.commands) if command.startswith("tunescope")]
    first = runs[0] if runs else len(found.commands)
    return (*found.commands[:first], study, *found.commands[first:])


def _own_files(study: StudySpec) -> list[Sentence]:
    """What the commands need besides a clone and the hub: a report holds neither data nor models."""
    files = [file for task in study.tasks for file in (task.dataset.files or {}).values()]
    files += [] if study.retention is None else [text.file for text in study.retention.texts if text.file is not None]
    files += [model.name for model in study.base_models if model.name.startswith((".", "/", "~"))]
    if not files:
        return []
    names = list(dict.fromkeys(files))
    told = ", ".join(names[:_MOST_FILES]) + (
        f" and {len(names) - _MOST_FILES} more" if len(names) > _MOST_FILES else ""
    )
    return [
        Sentence(text=f"The commands below need files of the study's own, where it names them: {told}.", tone="doubt")
    ]


def when(moment: datetime | None) -> str:
    """A moment to the minute; empty where there is none."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")


def gpu_words(environment: Environment) -> str:
    """The GPUs of a machine."""
    if environment.gpus is None:
        return "unknown: the driver did not answer"
    return ", ".join(environment.gpus) or "none"


def _sentences(found: Provenance) -> list[Sentence]:
    told = [
        Sentence(
            text=f"Store format {found.store_format}. A job's id is a hash of all that bears on its result, so equal ids mean equal "
            "questions.",
            tone="faint",
        )
    ]
    dirty = sum(one.num_jobs for one in found.environments if one.is_dirty)
    if dirty:
        told.append(
            Sentence(
                text=f"{numbers.plural(dirty, 'job')} ran from sources that differ from their commit.",
                anchor="provenance-environments",
                tone="doubt",
            )
        )
    for model in found.models:
        if len(model.fingerprints) > 1:
            told.append(
                Sentence(
                    text=f"{model.name}: jobs read {len(model.fingerprints)} different sets of weights.",
                    anchor="provenance-models",
                    tone="bad",
                )
            )
    if len({one.commit for one in found.environments}) > 1:
        told.append(
            Sentence(
                text="Jobs ran from several commits; job ids change whenever the meaning of a result does.",
                anchor="provenance-environments",
                tone="faint",
            )
        )
    return told


def _environments(environments: Sequence[Environment]) -> Table:
    rows = [
        Row(
            cells=(
                text(one.hostname),
                text(one.system),
                text(one.processor),
                numbers.number(one.num_cores),
                numbers.number(one.memory_gib, f"{one.memory_gib:.3g} GiB"),
                text(gpu_words(one)),
                text(one.python),
                text(one.commit or "no checkout"),
                text(
                    "" if one.is_dirty is None else "yes" if one.is_dirty else "no",
                    tone="doubt" if one.is_dirty else "",
                ),
                numbers.number(one.num_jobs),
                text(when(one.first)),
                text(when(one.last)),
            )
        )
        for one in environments
    ]
    return Table(
        id="provenance-environments",
        caption="Machines and code that jobs ran on",
        columns=(
            Column(name="machine", is_key=True),
            Column(name="system"),
            Column(name="processor"),
            Column(name="cores", kind="number"),
            Column(name="memory", kind="number"),
            Column(name="GPUs"),
            Column(name="Python"),
            Column(name="commit of tunescope"),
            Column(name="sources changed"),
            Column(name="jobs", kind="number"),
            Column(name="from"),
            Column(name="to"),
        ),
        rows=tuple(rows),
    )


def _libraries(environments: Sequence[Environment]) -> Table:
    """One row per library; several versions where environments differ."""
    versions: dict[str, dict[str, None]] = {}
    for one in environments:
        for name, version in one.versions:
            versions.setdefault(name, {})[version] = None
    rows = [
        Row(cells=(text(name), text(", ".join(found), tone="doubt" if len(found) > 1 else "")))
        for name, found in versions.items()
    ]
    return Table(
        id="provenance-libraries",
        caption="Versions of libraries",
        columns=(Column(name="library", is_key=True), Column(name="version")),
        rows=tuple(rows),
        note="More than one version where jobs ran with different ones.",
    )


def _models(found: Provenance) -> Table:
    rows = [
        Row(
            cells=(
                text(model.name),
                text(model.revision or "newest when it was fetched"),
                text(", ".join(model.fingerprints) or "not read yet"),
            )
        )
        for model in found.models
    ]
    return Table(
        id="provenance-models",
        caption="Base models and the bytes that were read",
        columns=(
            Column(name="base model", is_key=True),
            Column(name="revision"),
            Column(name="SHA-256 of its weights"),
        ),
        rows=tuple(rows),
    )


def _jobs(jobs: Sequence[JobLine]) -> Table:
    first = {job.id: place for place, job in reversed(list(enumerate(jobs)))}  # two tasks may ask for the same job
    rows = [
        Row(
            id=job_anchor(job.id) if first[job.id] == place else "",
            cells=(
                text(job.id),
                text(job.kind.replace("_", " ")),
                text(job.label),
                _state(job),
                numbers.number(job.seconds, "" if job.seconds is None else numbers.seconds(job.seconds)),
                text(when(job.started_at)),
                text(job.record),
            ),
        )
        for place, job in enumerate(jobs)
    ]
    return Table(
        id="provenance-jobs",
        caption="Every job of the study",
        columns=(
            Column(name="id", is_key=True),
            Column(name="kind"),
            Column(name="what it is"),
            Column(name="state"),
            Column(name="time", kind="number"),
            Column(name="began"),
            Column(name="record"),
        ),
        rows=tuple(rows),
        note="The record, a path within the store, holds settings, inputs, hashes of files, versions and machine.",
        can_filter=True,
    )


def _state(job: JobLine) -> Cell:
    told = "not needed" if job.state == "missing" and not job.is_wanted else job.state
    return text(
        f"{told}: {job.reason}" if job.reason and job.state == "failed" else told,
        tone="bad" if job.state == "failed" else "",
    )
