"""A report's folder: the page and all that lies beside it, written aside and put in place whole."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tunescope.analysis.findings import Findings
from tunescope.errors import TunescopeError, did_you_mean
from tunescope.report.content.numbers import plural
from tunescope.report.content.section import Report
from tunescope.report.export.csv import csv_table
from tunescope.report.export.latex import latex_table
from tunescope.report.export.markdown import markdown_table, plain
from tunescope.report.export.model_card import model_card, saved_as
from tunescope.report.export.summary import summary_json, summary_markdown
from tunescope.report.export.tidy import Format, encoded
from tunescope.report.export.tidy_tables import tidy_tables
from tunescope.report.figures.draw import draw_chart
from tunescope.report.figures.style import FORMATS
from tunescope.report.page.render import render_page
from tunescope.store import Store
from tunescope.store.aside import folder_aside, put_in_place
from tunescope.store.atomic import write_json, writing_in
from tunescope.study.plan import RunCell

if TYPE_CHECKING:
    import pyarrow as pa

PAGE_NAME = "index.html"
MANIFEST_NAME = "files.json"
"""Lists the files of a report: what a later one may replace."""
MANIFEST_FORMAT = 1

_DATA_FORMATS: tuple[Format, ...] = ("parquet", "csv")
_Text = tuple[str, str, str]
"""Path below the folder, what it holds, and its content."""


def write_report(
    report: Report,
    findings: Findings,
    store: Store,
    out: Path,
    *,
    figures: Sequence[str] = ("svg",),
    generated: str | None = None,
) -> Path:
    """Writes the page, the summaries, tidy tables, the tables as shown, figures and model cards; replaces an old report whole.

    Args:
        report: What is said.
        findings: What it rests on.
        store: Where the runs are, for their model cards.
        out: The folder; made if it is not there. Only a report's own files are ever replaced.
        figures: Formats of the figures: svg, pdf, png; none where empty.
        generated: When and by what the report was made, for the foot of the page; now, by this tunescope, where None.

    Returns:
        The page.

    Raises:
        TunescopeError: If the folder holds what is no report's, a format is unknown, or it cannot be written.
    """
    texts = itertools.chain(_texts(report), _texts_of_study(report, findings, store))
    return _write_whole(report, out, texts, tidy_tables(findings), figures, generated)


def write_page(report: Report, out: Path, *, figures: Sequence[str] = ("svg",), generated: str | None = None) -> Path:
    """As `write_report`, of a report that is of no single study: the page, its summary in Markdown, its tables and figures."""
    return _write_whole(report, out, _texts(report), {}, figures, generated)


def _write_whole(
    report: Report,
    out: Path,
    texts: Iterable[_Text],
    tables: Mapping[str, pa.Table],
    figures: Sequence[str],
    generated: str | None,
) -> Path:
    for name in figures:
        if f".{name}" not in FORMATS:
            raise TunescopeError(f"--figures {name}: no such format. {did_you_mean(name, [f[1:] for f in FORMATS])}")
    out = out.absolute()  # a bare name has no folder above it to write aside in
    _check_replaceable(out)
    with writing_in(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        with folder_aside(out) as aside:
            held = _fill(aside, report, texts, tables, figures)
            page = render_page(report, generated=generated or _now(), data_files=held)
            _write(aside / PAGE_NAME, page)
            made = {"format": MANIFEST_FORMAT, "tunescope": _version(), "study": report.study}
            write_json(aside / MANIFEST_NAME, made | {"files": sorted([*held, PAGE_NAME, MANIFEST_NAME])})
            put_in_place(aside, out)
    return out / PAGE_NAME


def _fill(
    folder: Path, report: Report, texts: Iterable[_Text], tables: Mapping[str, pa.Table], figures: Sequence[str]
) -> dict[str, str]:
    """Writes all that lies beside the page; path -> what it holds."""
    held: dict[str, str] = {}
    for path, what, content in texts:
        _write(folder / path, content)
        held[path] = what
    for name, table in tables.items():
        for form in _DATA_FORMATS:
            _write(folder / "data" / f"{name}.{form}", encoded(table, form))
            held[f"data/{name}.{form}"] = f"{name.replace('_', ' ')}, {plural(table.num_rows, 'row')}"
    for section in report.sections:
        for chart in section.charts:
            for ending in figures:
                path = f"figures/{chart.id}.{ending}"
                (folder / "figures").mkdir(exist_ok=True)
                draw_chart(chart, folder / path, report.methods)
                held[path] = chart.title
    return held


def _texts(report: Report) -> Iterator[_Text]:
    """Every file that is text and not the page, of any report."""
    yield "summary.md", "the verdicts, for a pull request", summary_markdown(report)
    for section in report.sections:
        for table in section.tables:
            yield f"tables/{table.id}.md", table.caption, markdown_table(table)
            yield f"tables/{table.id}.tex", table.caption, latex_table(table)
            yield f"tables/{table.id}.csv", table.caption, csv_table(table)
    captions = [
        f"**{chart.id}**: {plain(chart.title)}. {plain(chart.note)}".rstrip()
        for section in report.sections
        for chart in section.charts
    ]
    if captions:
        yield "figures/captions.md", "captions of the figures", "\n\n".join(captions) + "\n"


def _texts_of_study(report: Report, findings: Findings, store: Store) -> Iterator[_Text]:
    """The summary for machines, the study's text and a card for each saved run."""
    yield "summary.json", "the verdicts, for machines", summary_json(report, findings)
    if findings.provenance.study_text:
        yield "study.yaml", "the study as it was run", findings.provenance.study_text
    for name, run in _cards(findings, store):
        yield f"cards/{name}/README.md", f"model card of {run.train.label}", model_card(run, findings, store)


def _cards(findings: Findings, store: Store) -> Iterator[tuple[str, RunCell]]:
    """Name of a card's folder, and the run it is of: those whose weights are in the store."""
    done = {line.id for line in findings.jobs if line.state == "done"}
    taken: set[str] = set()
    for run in findings.plan.runs:
        if run.train.id in done and saved_as(store.record(run.train.kind, run.train.id)) is not None:
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", run.train.label).lstrip(".") or run.train.id
            name = f"{name}-{run.train.id}" if name.lower() in taken else name
            taken.add(name.lower())
            yield name, run


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)


def _check_replaceable(out: Path) -> None:
    """Refuses a place that holds anything which is not a report's own.

    Raises:
        TunescopeError: Naming what is in the way.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise TunescopeError(
            f"the report cannot go to {out}: it is a {'link' if out.is_symlink() else 'file'}. Name another folder."
        )
    if not out.exists():
        return
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir() or path.is_symlink()}
    if not there:
        return
    own = _listed(out)
    foreign = sorted(there - own)
    if not own:
        raise TunescopeError(
            f"the report cannot go to {out}: the folder is not empty and holds no report of tunescope "
            f"({foreign[0]} is in it). Name a new or empty folder."
        )
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise TunescopeError(
            f"the report in {out} is not replaced: {foreign[0]}{more} beside it is not the report's. Move it elsewhere first."
        )


def _listed(out: Path) -> set[str]:
    """The files that the report there lists as its own; none where there is no list."""
    try:
        found = json.loads((out / MANIFEST_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return set()
    if not isinstance(found, dict) or "study" not in found or not isinstance(found.get("files"), list):
        return set()
    return {str(name) for name in found["files"]}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by tunescope {_version()}"


def _version() -> str:
    return importlib.metadata.version("tunescope")
