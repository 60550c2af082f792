"""Learning curves: loss and selection score by step."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.curve_means import CurveMean, curve_means
from tunescope.analysis.curves import Curve
from tunescope.analysis.findings import Findings
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor
from tunescope.report.content.chart import Axis, Chart, Point, Series, XYChart
from tunescope.report.content.places import (
    MOST_PLACES,
    Place,
    place_cells,
    place_columns,
    place_id,
    place_words,
    places_of,
)
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.series import method_series, seed_series
from tunescope.report.content.table import Column, Row, Table, text
from tunescope.study.spec import StudySpec

ID, TITLE = "curves", "Learning curves"
_MOST_FAINT = 5
"""Seeds of one method that are drawn behind their mean."""


def curves_section(findings: Findings) -> Section:
    """Training loss and selection score of every run, and which step's weights were kept."""
    study = findings.plan.study
    if not findings.curves:
        told = "Nothing to show yet: no training is done. Run the study again to go on from here."
        return Section(id=ID, title=TITLE, missing=told)
    means = curve_means(findings.curves)
    charts: list[Chart] = []
    for place in places_of(study)[:MOST_PLACES]:
        own = [one for one in findings.curves if (one.base_model, one.task) == place]
        mean = [one for one in means if (one.base_model, one.task) == place]
        charts += _loss_chart(study, place, own, mean)
        charts += _selection_chart(study, place, own, mean)
    sentences = []
    if len(places_of(study)) > MOST_PLACES:
        sentences.append(
            Sentence(text=f"Charts are of the first {MOST_PLACES} tasks; the table has all.", tone="faint")
        )
    return Section(
        id=ID, title=TITLE, sentences=tuple(sentences), charts=tuple(charts), tables=(_table(study, findings.curves),)
    )


def _loss_chart(study: StudySpec, place: Place, own: Sequence[Curve], means: Sequence[CurveMean]) -> list[Chart]:
    series: list[Series] = []
    for mean in means:
        for curve in _behind(mean, own):
            points = [
                Point(x=point.step, y=point.loss, text=f"seed {curve.seed}", anchor=job_anchor(curve.job))
                for point in curve.loss
            ]
            series += seed_series(mean.method, mean.method, curve.seed, points, style="line")
        told = f"mean of {numbers.plural(mean.num_seeds, 'seed')}"
        points = [Point(x=step, y=loss, text=told, anchor="curves-runs") for step, loss in mean.loss]
        series += method_series(mean.method, points, style="line")
    if not series:
        return []
    binned = " Long curves are averaged over neighbouring steps." if any(curve.is_binned for curve in own) else ""
    return [
        XYChart(
            id=place_id(study, "curves-loss", place),
            title=f"Training loss on {place_words(study, place)}",
            x=Axis(label="step"),
            y=Axis(label="loss per example"),
            series=tuple(series),
            note=f"Lines: mean over seeds; faint lines: single seeds.{binned}",
        )
    ]


def _selection_chart(study: StudySpec, place: Place, own: Sequence[Curve], means: Sequence[CurveMean]) -> list[Chart]:
    series: list[Series] = []
    for mean in means:
        slope = 1.0
        for curve in _behind(mean, own):
            slope = numbers.as_drawn(1.0, curve.metric)
            points = [
                Point(
                    x=float(point.step),
                    y=slope * point.score,
                    text=f"seed {curve.seed}" + (", kept" if point.step == curve.kept_step else ""),
                    anchor=job_anchor(curve.job),
                )
                for point in curve.selection
                if point.score is not None
            ]
            series += seed_series(mean.method, mean.method, curve.seed, points, style="line and marks")
        slope = numbers.as_drawn(1.0, own[0].metric)
        told = f"mean of {numbers.plural(mean.num_seeds, 'seed')}"
        points = [
            Point(x=float(step), y=slope * score, text=told, anchor="curves-runs") for step, score in mean.selection
        ]
        series += method_series(mean.method, points, style="line and marks")
    if not series:
        return []
    metric = own[0].metric
    return [
        XYChart(
            id=place_id(study, "curves-selection", place),
            title=f"{metric} on the selection rows of {place_words(study, place)}",
            x=Axis(label="step"),
            y=Axis(label=f"{numbers.axis_label(metric)}, selection rows"),
            series=tuple(series),
            note="By this score the weights to keep are chosen; the rows that are reported on are not among these. Faint lines: "
            "single seeds.",
        )
    ]


def _behind(mean: CurveMean, own: Sequence[Curve]) -> list[Curve]:
    """The single runs to draw behind a mean; none where the mean is of one."""
    runs = [curve for curve in own if curve.method == mean.method]
    return runs[:_MOST_FAINT] if len(runs) > 1 else []


def _table(study: StudySpec, curves: Sequence[Curve]) -> Table:
    rows = [
        Row(
            cells=(
                *place_cells(study, one.base_model, one.task),
                text(one.method),
                numbers.number(one.seed, str(one.seed)),
                numbers.number(one.num_steps),
                numbers.number(one.kept_step, anchor=job_anchor(one.job)),
                text("yes" if one.stopped_early else "no"),
                text(one.job, anchor=job_anchor(one.job)),
            )
        )
        for one in curves
    ]
    return Table(
        id="curves-runs",
        caption="Steps of every training, and whose weights were kept",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="seed", kind="number", is_key=True),
            Column(name="steps", kind="number"),
            Column(name="kept step", kind="number"),
            Column(name="stopped early"),
            Column(name="job"),
        ),
        rows=tuple(rows),
        can_filter=len(rows) > 12,
    )
