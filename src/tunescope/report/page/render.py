"""A report -> the text of index.html: templates filled, style and scripts written in, policy set so that it asks for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
import markupsafe

from tunescope.report.colours import GREYS, Look, grey_look, method_look
from tunescope.report.content.chart import XYChart
from tunescope.report.content.section import Example, Report
from tunescope.report.content.table import Cell
from tunescope.report.page.ids import check_ids
from tunescope.report.page.legend import legend
from tunescope.report.page.packed import packed, plotly_source, script_json, source_hash
from tunescope.report.page.plotly import dark_colours, least_width_px, plotly_spec

STYLES = ("page.css", "report.css", "print.css")
SCRIPTS = ("page.js", "tables.js", "charts.js", "examples.js", "start.js")
"""One script, in this order."""
TEMPLATE = "page.html.j2"

_FORMATS = {"csv": "CSV", "json": "JSON", "md": "Markdown", "parquet": "Parquet", "pdf": "PDF", "png": "PNG"} | {
    "svg": "SVG",
    "tex": "LaTeX",
}
_DASH_LENGTHS = {
    "solid": "none",
    "dash": "5 3",
    "dot": "1.5 2.5",
    "dashdot": "6 3 1.5 3",
    "longdash": "9 3",
    "longdashdot": "9 3 1.5 3",
}
"""As SVG has them, of the samples in legends."""


def render_page(report: Report, *, generated: str, data_files: Mapping[str, str] | None = None) -> str:
    """The page: one file that opens from disk, with no network and nothing beside it.

    Args:
        report: What it says.
        generated: When it was made and by what, for its foot.
        data_files: Files beside the page: path relative to it -> what it holds. `tables/<table id>.*` and
            `figures/<chart id>.*` are linked at their table and chart, all others at the foot.

    Raises:
        ValueError: If a number in a chart is not finite, or a chart's series is of no method of the study.
    """
    check_ids(report)
    files = dict(data_files or {})
    script = f"(() => {{\n{_joined(SCRIPTS)}}})();"
    has_charts = any(section.charts for section in report.sections)
    plotly = plotly_source() if has_charts else b""
    examples = _examples(report)
    hashes = [source_hash(script.encode())] + ([source_hash(plotly)] if has_charts else [])
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            report=report,
            generated=generated,
            policy=_policy(hashes),
            style=_joined(STYLES) + _look_rules(report.methods),
            script=script,
            plotly=packed(plotly) if has_charts else "",
            examples=packed(script_json(examples).encode()) if examples else "",
            facts=script_json({"dark": dark_colours(), "methods": list(report.methods)}),
            looks={name: method_look(name, report.methods) for name in report.methods},
            files=_files_by_owner(files, report),
        )
    )


def _policy(hashes: Sequence[str]) -> str:
    """Of the page's own scripts only, of styles written in, of pictures made in the page; nothing is fetched."""
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tunescope.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "legend": legend,
        "least_width": least_width_px,
        "is_lines": lambda c: isinstance(c, XYChart),
    }
    environment.filters |= {
        "spec": lambda chart, methods: script_json(plotly_spec(chart, methods)),
        "worth": _worth,
        "parts": _parts,
        "coded": _coded,
        "dashes": lambda look: _DASH_LENGTHS[look.plotly_dash],
        "format_name": lambda path: _FORMATS.get(path.rsplit(".", 1)[-1], path.rsplit(".", 1)[-1]),
    }
    return environment


def _worth(cell: Cell) -> str | None:
    """What sorting and CSV take a cell for, where that is not the text it shows: floats to their last digit."""
    value = cell.value
    if value is None:
        return "" if cell.shown else None
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float):
        text = repr(float(value)) if math.isfinite(value) else ""
    else:
        text = str(value)
    return None if text == cell.shown else text


def _parts(text: str) -> tuple[str, str]:
    """A verdict's claim, and what follows its first colon."""
    claim, colon, rest = text.partition(": ")
    return (claim, rest) if colon else (text, "")


def _coded(text: str) -> markupsafe.Markup:
    """Text with what stands between backticks set as code; everything is escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return markupsafe.escape(text)
    shown = [
        markupsafe.Markup("<code>{}</code>").format(one) if n % 2 else markupsafe.escape(one)
        for n, one in enumerate(pieces)
    ]
    return markupsafe.Markup("").join(shown)


def _joined(names: Sequence[str]) -> str:
    folder = resources.files("tunescope.report.page")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n") for name in names)


def _look_rules(methods: Sequence[str]) -> str:
    """CSS classes `look-<colour>` with the colour of a light and of a dark ground."""
    looks: list[Look] = [method_look(name, methods) for name in methods]
    looks += [grey_look(place) for place in range(len(GREYS))]
    pairs = dict.fromkeys((look.colour, look.dark_colour) for look in looks)
    return "".join(f".look-{light[1:]}{{color:light-dark({light},{dark})}}\n" for light, dark in pairs)


def _examples(report: Report) -> dict[str, list[dict[str, Any]]]:
    """By section, for the script that shows them."""
    return {section.id: [_example(one) for one in section.examples] for section in report.sections if section.examples}


def _example(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "task": example.task,
        "texts": [list(pair) for pair in example.texts],
        "target": example.target,
        "answers": [list(answer) for answer in example.answers],
        "right": dict(example.share_right),
    }


def _files_by_owner(files: Mapping[str, str], report: Report) -> dict[str, list[tuple[str, str]]]:
    """Table or chart id -> its files, and '' -> those of the whole report: (path, what it holds)."""
    owners: dict[str, list[tuple[str, str]]] = {"": []}
    known = {f"tables/{table.id}" for section in report.sections for table in section.tables}
    known |= {f"figures/{chart.id}" for section in report.sections for chart in section.charts}
    for path, what in sorted(files.items()):
        stem = path.rsplit(".", 1)[0]
        owners.setdefault(stem if stem in known else "", []).append((path, what))
    return owners
