"""Retention: what tuned models still make of plain text, and what their states still say of other tasks."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.findings import Findings
from tunescope.analysis.retention_means import ProbedMean, RetainedMean, probe_means, retention_means
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor, part_id
from tunescope.report.content.chart import Axis, Chart, Level, Point, Series, XYChart
from tunescope.report.content.places import (
    MOST_PLACES,
    has_several_models,
    method_names,
    model_words,
    place_cells,
    place_columns,
    place_words,
)
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.series import estimate_point, method_series
from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.stats.estimate import Estimate
from tunescope.study.spec import StudySpec

ID, TITLE = "retention", "Retention"


def retention_section(findings: Findings) -> Section:
    """Losses on plain text and linear probes, beside the base model's."""
    study = findings.plan.study
    retained, probed = retention_means(findings.retention), probe_means(findings.probes)
    done = [one for one in retained if one.loss.value is not None]
    done_probes = [one for one in probed if one.accuracy.value is not None]
    if not done and not done_probes:
        return Section(id=ID, title=TITLE, missing=_why_nothing(study, retained, probed))
    charts = [*_text_charts(study, done), *_probe_charts(study, done_probes)]
    tables = [*([_text_table(study, retained)] if retained else []), *([_probe_table(study, probed)] if probed else [])]
    return Section(
        id=ID,
        title=TITLE,
        sentences=tuple(_sentences(study, retained, probed)),
        charts=tuple(charts),
        tables=tuple(tables),
    )


def _why_nothing(study: StudySpec, retained: Sequence[RetainedMean], probed: Sequence[ProbedMean]) -> str:
    reasons = _reasons(retained, probed)
    if reasons:
        return f"Nothing measured yet: {'; '.join(reasons[:3])}. Run the study again to go on from here."
    if study.retention is not None:
        return (
            "Not measured: plain text needs a decoder and probes need two classification tasks; the study has neither."
        )
    return (
        "Not measured: the study has no `retention:` section. Add `retention: {probes: true}` (what states still say of the "
        "study's other classification tasks), or `retention: {texts: [{name: notes, file: notes.txt}]}` (plain text, of "
        "decoders), and run it again; finished runs are kept."
    )


def _sentences(study: StudySpec, retained: Sequence[RetainedMean], probed: Sequence[ProbedMean]) -> list[Sentence]:
    told = []
    for one in retained:
        if one.loss.value is not None and one.base_loss is not None and one.loss_increase.value is not None:
            place = place_words(study, (one.base_model, one.task))
            told.append(
                Sentence(
                    text=f"{one.method} trained on {place}: {numbers.short(one.loss.value)} nats per token of {one.text}, "
                    f"{_signed(one.loss_increase.value)}{_interval(one.loss_increase)} against the base model's "
                    f"{numbers.short(one.base_loss)} ({numbers.plural(len(one.by_seed), 'seed')}).",
                    anchor="retention-texts",
                )
            )
    told += [Sentence(text=f"Not there: {reason}.", tone="doubt") for reason in _reasons(retained, probed)]
    return told


def _reasons(retained: Sequence[RetainedMean], probed: Sequence[ProbedMean]) -> list[str]:
    """Why runs are missing, each reason once."""
    return list(
        dict.fromkeys(
            reason for reason in [*(one.reason for one in retained), *(one.reason for one in probed)] if reason
        )
    )


def _text_charts(study: StudySpec, done: Sequence[RetainedMean]) -> list[Chart]:
    charts: list[Chart] = []
    for base_model, source in list(dict.fromkeys((one.base_model, one.text) for one in done))[:MOST_PLACES]:
        own = [one for one in done if (one.base_model, one.text) == (base_model, source)]
        name = model_words(study, base_model) if has_several_models(study) else ""
        base = next((one.base_loss for one in own if one.base_loss is not None), None)
        series: list[Series] = []
        for method in method_names(study):
            found = [one for one in own if one.method == method]
            seeds = [
                Point(x=one.task, y=loss, text=f"seed {seed}", anchor=job_anchor(job))
                for one in found
                for seed, loss, job in one.by_seed
            ]
            if any(len(one.by_seed) > 1 for one in found):
                series.append(Series(name=f"{method} seeds", points=tuple(seeds), method=method, is_faint=True))
            series += method_series(
                method, [estimate_point(one.task, one.loss, anchor="retention-texts") for one in found]
            )
        charts.append(
            XYChart(
                id=part_id("retention", name, source),
                title=f"Loss on {source}" + (f" ({name})" if name else ""),
                x=Axis(label="trained on", categories=tuple(dict.fromkeys(one.task for one in own))),
                y=Axis(label="nats per token"),
                series=tuple(series),
                levels=() if base is None else (Level(name="base model", value=base),),
                note="Under the base model's own head. Small marks: single seeds. Interval: 95%, t over seeds. Lower is better.",
            )
        )
    return charts


def _probe_charts(study: StudySpec, done: Sequence[ProbedMean]) -> list[Chart]:
    charts: list[Chart] = []
    for base_model, task in list(dict.fromkeys((one.base_model, one.probe_task) for one in done))[:MOST_PLACES]:
        own = [one for one in done if (one.base_model, one.probe_task) == (base_model, task)]
        name = model_words(study, base_model) if has_several_models(study) else ""
        series: list[Series] = []
        for method in method_names(study):
            found = [one for one in own if one.method == method]
            seeds = [
                Point(x=one.trained_on, y=100.0 * accuracy, text=f"seed {seed}", anchor=job_anchor(job))
                for one in found
                for seed, accuracy, job in one.by_seed
            ]
            if any(len(one.by_seed) > 1 for one in found):
                series.append(Series(name=f"{method} seeds", points=tuple(seeds), method=method, is_faint=True))
            points = [
                estimate_point(one.trained_on, one.accuracy, slope=100.0, anchor="retention-probes") for one in found
            ]
            series += method_series(method, points)
        known = {"base model": own[0].base_accuracy, "commonest label": own[0].majority_accuracy}
        charts.append(
            XYChart(
                id=part_id("probe", name, task),
                title=f"Linear probe of {task} after training on another task" + (f" ({name})" if name else ""),
                x=Axis(label="trained on", categories=tuple(dict.fromkeys(one.trained_on for one in own))),
                y=Axis(label="accuracy of the probe (percent)"),
                series=tuple(series),
                levels=tuple(
                    Level(name=what, value=100.0 * value) for what, value in known.items() if value is not None
                ),
                note="Small marks: single seeds. Interval: 95%, t over seeds. Higher is better.",
            )
        )
    return charts


def _text_table(study: StudySpec, means: Sequence[RetainedMean]) -> Table:
    rows = [
        Row(
            cells=(
                *place_cells(study, one.base_model, one.task),
                text(one.text),
                text(one.method),
                numbers.number(one.base_loss, anchor=_first_job(one.by_seed)),
                *_estimate_cells(one.loss, _first_job(one.by_seed)),
                numbers.number(
                    one.loss_increase.value, _signed(one.loss_increase.value), anchor=_first_job(one.by_seed)
                ),
                numbers.number(one.perplexity.value, anchor=_first_job(one.by_seed)),
                numbers.number(one.kl.value, anchor=_first_job(one.by_seed)),
                numbers.number(one.num_tokens),
                numbers.number(len(one.by_seed), _of(len(one.by_seed), one.num_planned)),
            )
        )
        for one in means
    ]
    return Table(
        id="retention-texts",
        caption="Plain text under the base model's own head: nats per token, mean over seeds",
        columns=(
            *place_columns(study, "trained on"),
            Column(name="text", is_key=True),
            Column(name="method", is_key=True),
            Column(name="base loss", kind="number"),
            Column(name="loss", kind="number"),
            Column(name="low", kind="number"),
            Column(name="high", kind="number"),
            Column(name="loss - base loss", kind="number"),
            Column(name="perplexity", kind="number"),
            Column(name="KL from base", kind="number"),
            Column(name="tokens", kind="number"),
            Column(name="runs", kind="number"),
        ),
        rows=tuple(rows),
        note="Interval: 95%, t over seeds.",
        can_filter=len(rows) > 12,
    )


def _probe_table(study: StudySpec, means: Sequence[ProbedMean]) -> Table:
    rows = [
        Row(
            cells=(
                *place_cells(study, one.base_model, one.trained_on),
                text(one.probe_task),
                text(one.method),
                numbers.score_cell(one.majority_accuracy, "accuracy"),
                numbers.score_cell(one.base_accuracy, "accuracy", anchor=_first_job(one.by_seed)),
                *(
                    numbers.score_cell(value, "accuracy", anchor=_first_job(one.by_seed))
                    for value in (one.accuracy.value, one.accuracy.ci_low, one.accuracy.ci_high)
                ),
                numbers.number(one.num_examples),
                numbers.number(len(one.by_seed), _of(len(one.by_seed), one.num_planned)),
            )
        )
        for one in means
    ]
    return Table(
        id="retention-probes",
        caption="Linear probes of tasks that a run was not trained on: accuracy in percent, mean over seeds",
        columns=(
            *place_columns(study, "trained on"),
            Column(name="probed task", is_key=True),
            Column(name="method", is_key=True),
            Column(name="commonest label", kind="number"),
            Column(name="base model", kind="number"),
            Column(name="tuned", kind="number"),
            Column(name="low", kind="number"),
            Column(name="high", kind="number"),
            Column(name="examples", kind="number"),
            Column(name="runs", kind="number"),
        ),
        rows=tuple(rows),
        note="Interval: 95%, t over seeds.",
        can_filter=len(rows) > 12,
    )


def _estimate_cells(estimate: Estimate, anchor: str) -> list[Cell]:
    return [numbers.number(value, anchor=anchor) for value in (estimate.value, estimate.ci_low, estimate.ci_high)]


def _first_job(by_seed: Sequence[tuple[int, float, str]]) -> str:
    return job_anchor(by_seed[0][2]) if by_seed else ""


def _interval(estimate: Estimate) -> str:
    if estimate.ci_low is None or estimate.ci_high is None:
        return ""
    return f" [{_signed(estimate.ci_low)}, {_signed(estimate.ci_high)}]"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value + 0.0:+.4g}"


def _of(number: int, planned: int) -> str:
    return str(number) if number == planned else f"{number} of {planned}"
