"""Sweeps: what each search chose, what a smaller budget would have found, and which fields mattered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tunescope.analysis.findings import Findings
from tunescope.analysis.importance import Importance, importances
from tunescope.analysis.sweeps import SweepSummary
from tunescope.analysis.trials import TrialRow
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
from tunescope.report.content.series import estimate_point, method_series
from tunescope.report.content.table import Column, Row, Table, text
from tunescope.search.space import Range
from tunescope.study.spec import StudySpec
from tunescope.tasks.scores import SCORES

ID, TITLE = "sweeps", "Sweeps"
_MOST_FIELDS = 4
"""Charts of a swept field, per place."""


def sweeps_section(findings: Findings) -> Section:
    """Choice, budget curve, sensitivity and importance of every sweep, with all its trials."""
    study = findings.plan.study
    if not findings.plan.sweeps:
        return Section(
            id=ID,
            title=TITLE,
            missing="No sweep: every method has fixed settings. To search, write for example `learning_rate: {sweep: {log_uniform: "
            "[1e-5, 1e-3]}}` at a method and `sweep: {num_trials: 12}`; runs then start from what is found.",
        )
    if not any(row.score is not None for row in findings.trials):
        failed = sum(row.state == "failed" for row in findings.trials)
        told = f"No trial has a score yet: {failed} of {len(findings.trials)} planned failed."
        return Section(id=ID, title=TITLE, missing=f"{told} Run the study again to go on from here.")
    mattered = importances(study, findings.trials)
    charts: list[Chart] = []
    for place in places_of(study)[:MOST_PLACES]:
        charts += _budget_chart(study, place, findings.sweeps)
        charts += _field_charts(study, place, findings.trials)
    tables = [_trial_table(study, findings.trials)]
    if any(one.shares for one in mattered):
        tables.append(_importance_table(study, mattered))
    return Section(
        id=ID,
        title=TITLE,
        sentences=tuple(_sentences(study, findings.sweeps, mattered)),
        charts=tuple(charts),
        tables=tuple(tables),
    )


def _sentences(study: StudySpec, sweeps: Sequence[SweepSummary], mattered: Sequence[Importance]) -> list[Sentence]:
    told = []
    for sweep in sweeps:
        told.append(Sentence(text=f"{sweep.title}: {sweep.chosen}.", anchor="sweeps-trials"))
        if sweep.against_default:
            told.append(Sentence(text=f"{sweep.title}: {sweep.against_default}.", anchor="sweeps-trials", tone="faint"))
        told += [Sentence(text=f"{sweep.title}: {warning}.", tone="doubt") for warning in sweep.warnings]
    for one in mattered:
        place = f"{one.method} on {place_words(study, (one.base_model, one.task))}"
        if not one.shares:
            told.append(Sentence(text=f"{place}: importance of fields not estimable: {one.reason}.", tone="faint"))
            continue
        shares = ", ".join(f"{name} {numbers.percent(share)}" for name, share in one.shares)
        rough = f" ({one.reason})" if one.reason else ""
        told.append(
            Sentence(
                text=f"{place}: share of the spread between trials by field: {shares}{rough}.",
                anchor="sweeps-importance",
            )
        )
    if not mattered:
        told.append(Sentence(text="Each sweep searched one field, so there is no importance to divide.", tone="faint"))
    return told


def _budget_chart(study: StudySpec, place: Place, sweeps: Sequence[SweepSummary]) -> list[Chart]:
    own = [one for one in sweeps if one.place[:2] == place and one.budget]
    if not own:
        return []
    metric = next(task.primary_metric for task in study.tasks if task.name == place[1])
    slope = numbers.as_drawn(1.0 if SCORES[metric].higher_is_better else -1.0, metric)
    series = [
        made
        for one in own
        for made in method_series(
            one.place[2],
            [
                estimate_point(float(k), estimate, slope=slope, text=numbers.plural(k, "trial"), anchor="sweeps-trials")
                for k, estimate in one.budget
            ],
            style="line and marks",
        )
    ]
    return [
        XYChart(
            id=place_id(study, "sweeps-budget", place),
            title=f"Best {metric} to expect after so many trials on {place_words(study, place)}",
            x=Axis(label="trials", scale="log"),
            y=Axis(label=f"{numbers.axis_label(metric)}, selection rows"),
            series=tuple(series),
            note="Of trials drawn from these in random order; a sampler that learns does better than that. Interval: 95%, jackknife, "
            "up to half of the trials; beyond there is none. On the rows that the choice is made by, so at its most flattering.",
        )
    ]


def _field_charts(study: StudySpec, place: Place, trials: Sequence[TrialRow]) -> list[Chart]:
    """Score against each swept number, the learning rate first."""
    own = [row for row in trials if (row.base_model, row.task) == place and row.score is not None and row.values]
    values: dict[tuple[str, int], dict[str, Any]] = {(row.method, row.trial): json.loads(row.values) for row in own}
    names = dict.fromkeys(name for found in values.values() for name, value in found.items() if _is_number(value))
    charts: list[Chart] = []
    for name in sorted(names, key=lambda one: one != "learning_rate")[:_MOST_FIELDS]:
        series: list[Series] = []
        for method in dict.fromkeys(row.method for row in own):
            for state, is_faint in (("pruned", True), ("complete", False)):
                points = tuple(
                    _trial_point(row, float(values[row.method, row.trial][name]))
                    for row in own
                    if (row.method, row.state) == (method, state)
                    and _is_number(values[row.method, row.trial].get(name))
                )
                if points:
                    told = f"{method}, stopped early" if is_faint else method
                    series.append(Series(name=told, points=points, method=method, is_faint=is_faint))
        if not series:
            continue
        metric = own[0].metric
        charts.append(
            XYChart(
                id=place_id(study, "sweeps-field", place, name),
                title=f"{metric} against {name.replace('_', ' ')} on {place_words(study, place)}",
                x=Axis(label=name.replace("_", " "), scale="log" if _is_log(study, name) else "linear"),
                y=Axis(label=f"{numbers.axis_label(metric)}, selection rows"),
                series=tuple(series),
                note="A mark per trial; faint: stopped early, with the score it had then. Interval: one standard error over "
                "selection rows.",
            )
        )
    return charts


def _trial_point(row: TrialRow, x: float) -> Point:
    assert row.score is not None
    slope = numbers.as_drawn(1.0, row.metric)
    error = row.standard_error
    told = f"trial {row.trial}" + (", chosen" if row.is_best else "") + (", default setting" if row.is_default else "")
    return Point(
        x=x,
        y=slope * row.score,
        low=None if error is None else slope * (row.score - error),
        high=None if error is None else slope * (row.score + error),
        text=told,
        anchor=job_anchor(row.jobs.split(" ")[0]),
    )


def _trial_table(study: StudySpec, trials: Sequence[TrialRow]) -> Table:
    columns = [
        *place_columns(study),
        Column(name="method", is_key=True),
        Column(name="trial", kind="number", is_key=True),
        Column(name="settings"),
        Column(name="score", kind="number"),
        Column(name="standard error", kind="number"),
        Column(name="selection rows", kind="number"),
        Column(name="tokens", kind="number"),
        Column(name="time", kind="number"),
        Column(name="state"),
        Column(name="reason"),
        Column(name="job"),
    ]
    rows = []
    for row in trials:
        job = row.jobs.split(" ")[0]
        cells = [
            *place_cells(study, row.base_model, row.task),
            text(row.method),
            numbers.number(row.trial),
            text(_settings_words(row.values)),
            numbers.score_cell(row.score, row.metric, anchor=job_anchor(job)),
            numbers.score_cell(row.standard_error, row.metric, anchor=job_anchor(job)),
            numbers.number(row.num_examples),
            numbers.number(row.num_tokens),
            numbers.number(row.train_s, "" if row.train_s is None else numbers.seconds(row.train_s)),
            text(_state_words(row), tone="bad" if row.state == "failed" else "good" if row.is_best else ""),
            text(row.reason),
            text(job, anchor=job_anchor(job)),
        ]
        rows.append(Row(cells=tuple(cells)))
    return Table(
        id="sweeps-trials",
        caption="Every trial, scored on selection rows",
        columns=tuple(columns),
        rows=tuple(rows),
        note="Shares in percent. Selection rows are carved out of the train split: no trial sees the rows that are reported on.",
        can_filter=True,
    )


def _importance_table(study: StudySpec, mattered: Sequence[Importance]) -> Table:
    rows = [
        Row(
            cells=(
                *place_cells(study, one.base_model, one.task),
                text(one.method),
                text(name),
                numbers.number(share, numbers.percent(share)),
                numbers.number(one.num_trials),
                text(one.reason, tone="doubt" if one.reason else ""),
            )
        )
        for one in mattered
        for name, share in one.shares
    ]
    return Table(
        id="sweeps-importance",
        caption="Importance of swept fields: share of the variance between completed trials (fANOVA)",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="field", is_key=True),
            Column(name="share", kind="number"),
            Column(name="completed trials", kind="number"),
            Column(name="remark"),
        ),
        rows=tuple(rows),
    )


def _settings_words(values: str) -> str:
    """What a trial set, as a person reads it."""
    if not values:
        return numbers.NOTHING
    found: dict[str, Any] = json.loads(values)
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in found.items()
    )


def _state_words(row: TrialRow) -> str:
    told = {"complete": "complete", "pruned": "stopped early", "failed": "failed", "missing": "not run"}[row.state]
    return told + (", chosen" if row.is_best else "") + (", default setting" if row.is_default else "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_log(study: StudySpec, name: str) -> bool:
    """Whether a field is searched on a logarithmic scale somewhere; rates given as lists are, too."""
    spaces = [entry.sweep[name] for entry in study.methods if name in entry.sweep]
    return name == "learning_rate" or any(isinstance(space, Range) and space.log for space in spaces)
