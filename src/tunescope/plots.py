"""A study's figures in a notebook: those of its report, from the same charts.

    from tunescope import plots

    plots.quality("tunescope-store")            # shows them all
    plots.drift("study.yaml")["drift-layers-mrpc-mean"].savefig("drift.pdf")

Reading a large store takes seconds: `report = plots.read("tunescope-store")` reads it once, for every function here.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tunescope.analysis.findings import collect_findings
from tunescope.api.stored import DEFAULT_STORE, open_study
from tunescope.errors import TunescopeError
from tunescope.report.content.chart import Chart, HeatMap, XYChart
from tunescope.report.content.contents import report_content
from tunescope.report.content.section import Report, Section
from tunescope.report.figures.draw import chart_figure
from tunescope.report.figures.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Study = Report | Path | str
"""What `read` gave; or a study's file, its store, or STORE/studies/NAME."""


class Figures(dict[str, "Figure"]):
    """Chart's id in the report -> Matplotlib figure, 3.4 inches wide, with its title. A notebook shows them one after the other."""

    def _repr_html_(self) -> str:
        return "\n".join(_picture(figure) for figure in self.values())


def read(study: Path | str, *, store: Path | str = DEFAULT_STORE, mirror: Path | str | None = None) -> Report:
    """All that a study's report says, to draw from more than once.

    Args:
        study: The study's YAML file, its store, or `STORE/studies/NAME`.
        store: Where its results are, if `study` is a file.
        mirror: A folder that stands in for the hub.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    opened = open_study(Path(study), store=Path(store), mirror=None if mirror is None else Path(mirror))
    return report_content(collect_findings(opened.plan, opened.store))


def quality(study: Study) -> Figures:
    """Scores by task: means with intervals, every seed, baselines, published figures and expected ranges.

    Raises:
        TunescopeError: As `read`, or if there is nothing to draw yet; so do all functions here.
    """
    return _figures(study, "quality")


def drift(study: Study) -> Figures:
    """Drift by layer with its controls, and over training where that was followed."""
    return _figures(study, "drift", lambda chart: isinstance(chart, XYChart))


def layer_pairs(study: Study) -> Figures:
    """Similarity of every layer of the base model with every layer of the tuned one, means over seeds."""
    return _figures(study, "drift", lambda chart: isinstance(chart, HeatMap))


def weights(study: Study) -> Figures:
    """Updates of the weights by block."""
    return _figures(study, "weights")


def retention(study: Study) -> Figures:
    """What the tuned backbones still make of plain text."""
    return _figures(study, "retention")


def tradeoffs(study: Study) -> Figures:
    """Quality against drift, trained parameters, time, memory and cost."""
    return _figures(study, "tradeoffs")


def sweeps(study: Study) -> Figures:
    """Expected best score against trials, and scores against what was searched."""
    return _figures(study, "sweeps")


def curves(study: Study) -> Figures:
    """Loss and selection scores by step."""
    return _figures(study, "curves")


def _figures(study: Study, section_id: str, is_wanted: Callable[[Chart], bool] = lambda chart: True) -> Figures:
    report = study if isinstance(study, Report) else read(study)
    section = next(section for section in report.sections if section.id == section_id)
    charts = [chart for chart in section.charts if is_wanted(chart)]
    if not charts:
        raise TunescopeError(f"study {report.study}: no figure of {section.title.lower()}. {_why_none(section)}")
    return Figures({chart.id: chart_figure(chart, report.methods) for chart in charts})


def _why_none(section: Section) -> str:
    if section.missing:
        return section.missing
    return " ".join(sentence.text for sentence in section.sentences) or "The report has none of this kind."


def _picture(figure: Figure) -> str:
    """The figure as an image within a page, with its title for those who cannot see it."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width = round(96 * figure.get_figwidth() * 1.4)
    alt = html.escape(" ".join(figure.get_suptitle().split()))
    return f'<img alt="{alt}" width="{width}" style="display:inline-block; margin:0 1em 1em 0" src="data:image/png;base64,{data}">'
