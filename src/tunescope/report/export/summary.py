"""A report in short: Markdown for a pull request, JSON for machines."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from tunescope.analysis.findings import Findings
from tunescope.analysis.hypotheses import comparisons_as_table
from tunescope.report.content.section import Report, Sentence
from tunescope.report.content.table import Table
from tunescope.report.content.verdicts import comparison_id
from tunescope.report.export.markdown import markdown_table, plain

SUMMARY_FORMAT = 1
"""Of summary.json: a field may be added under the same number; one that goes or changes its meaning raises it."""
_MOST_FAILURES = 20
_MOST_ROWS = 60


def summary_markdown(report: Report) -> str:
    """The question, how much of the study is there, every verdict, what is undecided, the scores, what failed."""
    return "\n".join(_markdown_parts(report)).rstrip() + "\n"


def summary_json(report: Report, findings: Findings) -> str:
    """The same with every number unrounded, in the measure's own unit.

    Keys: format, tunescope, study, question, jobs (done, failed, missing), summary (sentences), verdicts (a row per comparison
    as `tunescope compare --format json` has it, with the report's sentence as `text`), quality, levels (baselines and
    published figures), drift, retention, relative_costs, failures (job, label, reason), environments.

    Raises:
        ValueError: If a number is not finite.
    """
    text_of = {sentence.anchor: sentence.text for sentence in (*report.verdicts, *report.undecided)}
    verdicts = [
        row | {"text": text_of.get(comparison_id(number), row["sentence"])}
        for number, row in enumerate(comparisons_as_table(findings.comparisons).to_pylist())
    ]
    provenance = findings.provenance
    content = {
        "format": SUMMARY_FORMAT,
        "tunescope": importlib.metadata.version("tunescope"),
        "study": report.study,
        "question": report.question,
        "jobs": {
            "done": provenance.num_done,
            "failed": provenance.num_failed,
            "missing": provenance.num_missing,
        },
        "summary": [sentence.text for sentence in report.summary],
        "verdicts": verdicts,
        "quality": _plain_rows(findings.quality),
        "levels": _plain_rows(findings.levels),
        "drift": _plain_rows(findings.drift),
        "retention": _plain_rows(findings.retention),
        "relative_costs": _plain_rows(findings.relative_costs),
        "failures": [
            {"job": line.id, "label": line.label, "reason": line.reason}
            for line in findings.jobs
            if line.state == "failed"
        ],
        "environments": _plain_rows(provenance.environments),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=_as_json) + "\n"


def _markdown_parts(report: Report) -> Iterator[str]:
    yield f"# {plain(report.study)}\n"
    if report.question:
        yield f"{plain(report.question)}\n"
    yield from _bullets(report.summary)
    yield "## Verdicts\n"
    yield from _bullets(report.verdicts) if report.verdicts else ["Nothing is decided.\n"]
    if report.undecided:
        yield "## Not decided\n"
        yield from _bullets(report.undecided)
    for section in report.sections:
        if section.id == "quality":
            yield f"## {plain(section.title)}\n"
            if section.tables:
                yield from _first_rows(section.tables[0])
            if section.missing:
                yield f"{plain(section.missing)}\n"
        if section.id == "failures" and section.sentences:
            yield f"## {plain(section.title)}\n"
            yield from _bullets(section.sentences[:_MOST_FAILURES])
            if len(section.sentences) > _MOST_FAILURES:
                yield f"And {len(section.sentences) - _MOST_FAILURES} more, on the page.\n"
    yield "The page beside this file, `index.html`, leads from every number to its rows."


def _first_rows(table: Table) -> Iterator[str]:
    """A table, or as much of it as a pull request bears."""
    yield markdown_table(replace(table, rows=table.rows[:_MOST_ROWS]))
    if len(table.rows) > _MOST_ROWS:
        yield f"The first {_MOST_ROWS} of {len(table.rows)} rows; all are in `tables/{table.id}.md`.\n"


def _bullets(sentences: Sequence[Sentence]) -> list[str]:
    return ["\n".join(f"- {plain(sentence.text)}" for sentence in sentences) + "\n"] if sentences else []


def _plain_rows(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def _as_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"summary.json has no way to write a {type(value).__name__}")
