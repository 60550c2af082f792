"""Findings -> a report: verdicts first, then what could not be decided, then section by section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tunescope.analysis.findings import Findings
from tunescope.report.content import numbers
from tunescope.report.content.cost import cost_section
from tunescope.report.content.curves import curves_section
from tunescope.report.content.data import data_section
from tunescope.report.content.drift import drift_section
from tunescope.report.content.failures import failures_section
from tunescope.report.content.places import has_several_models, method_names, model_words
from tunescope.report.content.predictions import predictions_section
from tunescope.report.content.provenance import provenance_section, when
from tunescope.report.content.quality import floor_sentences, quality_section
from tunescope.report.content.retention import retention_section
from tunescope.report.content.rows import rows_section
from tunescope.report.content.section import Report, Section, Sentence
from tunescope.report.content.settings import settings_section
from tunescope.report.content.sweeps import sweeps_section
from tunescope.report.content.tradeoffs import tradeoffs_section
from tunescope.report.content.verdicts import verdict_sentences
from tunescope.report.content.weights import weights_section

_MOST_FLOORS = 4
"""Tasks on the first screen whose scores are no better than what takes no training; more are counted."""
SECTIONS: tuple[Callable[[Findings], Section], ...] = (
    quality_section,
    drift_section,
    weights_section,
    retention_section,
    tradeoffs_section,
    sweeps_section,
    cost_section,
    predictions_section,
    curves_section,
    data_section,
    failures_section,
    settings_section,
    rows_section,
    provenance_section,
)
"""In the order they are read."""


def report_content(findings: Findings) -> Report:
    """All that a report says of a study, whatever state it is in."""
    study = findings.plan.study
    sections = _with_own_ids([section(findings) for section in SECTIONS])
    decided, undecided = verdict_sentences(findings.comparisons, findings.rows)
    if sections[0].missing:  # and so no table of comparisons to lead to
        undecided = tuple(replace(sentence, anchor=sections[0].id) for sentence in undecided)
    if not findings.comparisons:
        undecided = (Sentence(text="Nothing to compare: the study has one method.", tone="faint"),)
    return Report(
        study=study.name,
        question=study.question,
        methods=tuple(method_names(study)),
        summary=tuple(_summary(findings)),
        verdicts=decided,
        undecided=undecided,
        sections=sections,
    )


def _summary(findings: Findings) -> list[Sentence]:
    """How much of the study is there: runs, jobs, when and on what."""
    study, found = findings.plan.study, findings.provenance
    runs = Counter({(row.job, row.state): 1 for row in findings.rows if row.kind == "run"})
    states = Counter(state for _, state in runs)
    parts = [
        f"{states['done']} of {numbers.plural(sum(states.values()), 'run')} done",
        *([f"{states['failed']} failed"] if states["failed"] else []),
        *([f"{states['missing']} to come"] if states["missing"] else []),
    ]
    of = [
        *([numbers.plural(len(study.base_models), "base model")] if has_several_models(study) else []),
        numbers.plural(len(study.tasks), "task"),
        numbers.plural(len(study.methods), "method"),
        numbers.plural(len(study.seeds), "seed"),
    ]
    is_whole = states["done"] == sum(states.values())
    models = ", ".join(model_words(study, model.name) for model in study.base_models)
    told = [
        Sentence(
            text=f"{', '.join(parts)}: {', '.join(of)}; {models}.", anchor="rows", tone="" if is_whole else "doubt"
        )
    ]
    if found.num_failed or found.num_missing:
        jobs = f"{found.num_done} jobs done, {found.num_failed} failed, {found.num_missing} to come."
        told.append(Sentence(text=jobs, anchor="failures", tone="bad" if found.num_failed else "doubt"))
    if found.environments and found.first is not None and found.last is not None:
        first = found.environments[0]
        device = ", ".join(first.gpus or ()) or first.processor or first.system
        more = len(found.environments) - 1
        others = f" and {numbers.plural(more, 'other environment')}" if more else ""
        told.append(
            Sentence(
                text=f"Run from {when(found.first)} to {when(found.last)} on {device}{others}.",
                anchor="provenance",
                tone="faint",
            )
        )
    told += _floors(findings)
    if study.compare == () and len(study.methods) > 1:
        told.append(
            Sentence(
                text="The study declares no comparison under `compare:`, so all of them are exploratory.",
                anchor="quality",
                tone="faint",
            )
        )
    return told


def _floors(findings: Findings) -> list[Sentence]:
    """Where methods reach no more than what takes no training; counted where that is on many tasks."""
    told = floor_sentences(findings)
    if len(told) <= _MOST_FLOORS:
        return told
    places = numbers.plural(len(told), "task")
    text = f"On {places} some method's mean score is no better than what takes no training: quality has them."
    return [Sentence(text=text, anchor="quality", tone="doubt")]


def _with_own_ids(sections: list[Section]) -> tuple[Section, ...]:
    """The sections with ids of charts and tables made to differ, where names that differ have the same letters and digits."""
    taken: Counter[str] = Counter(section.id for section in sections)

    def own(wanted: str) -> str:
        found, number = wanted, 1
        while taken[found]:
            number += 1
            found = f"{wanted}-{number}"
        taken[found] += 1
        return found

    return tuple(
        replace(
            section,
            tables=tuple(replace(table, id=own(table.id)) for table in section.tables),  # first: sentences lead to them
            charts=tuple(replace(chart, id=own(chart.id)) for chart in section.charts),
        )
        for section in sections
    )
