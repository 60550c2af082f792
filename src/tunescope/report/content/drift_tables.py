"""Drift's tables: the mean of every method and control, every run, every measure by layer."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.drift import DriftResult
from tunescope.analysis.drift_means import DriftMean
from tunescope.analysis.layer_means import DISTANCE, LayerMean
from tunescope.report.content import numbers
from tunescope.report.content.anchors import drift_anchor, job_anchor
from tunescope.report.content.controls import CONTROL_WORDS, control_words
from tunescope.report.content.places import place_cells, place_columns
from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.study.spec import StudySpec


def mean_table(study: StudySpec, means: Sequence[DriftMean]) -> Table:
    """A row per method and control: drift with its interval over seeds."""
    order = ["tuned", *CONTROL_WORDS]
    rows = []
    for one in sorted(means, key=lambda mean: _place(study, mean, order)):
        anchor = drift_anchor(one.base_model, one.task, one.method, one.compared)
        cells = [
            *place_cells(study, one.base_model, one.task),
            *_what(one.compared, one.method),
            _drift_cell(one.estimate.value, anchor),
            _drift_cell(one.estimate.ci_low, anchor),
            _drift_cell(one.estimate.ci_high, anchor),
            numbers.number(len(one.by_seed), _of(len(one.by_seed), one.num_planned)),
            numbers.number(one.num_examples),
        ]
        rows.append(Row(cells=tuple(cells)))
    return Table(
        id="drift-means",
        caption="Drift: one minus the debiased linear CKA with the base model, mean over blocks",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="against", is_key=True),
            Column(name="drift", kind="number"),
            Column(name="low", kind="number"),
            Column(name="high", kind="number"),
            Column(name="runs", kind="number"),
            Column(name="examples", kind="number"),
        ),
        rows=tuple(rows),
        note="Interval: 95%, t over seeds. 0: nothing moved; about 1: unrelated states. Controls say what the number would be "
        "without training, or without any relation.",
        can_filter=len(rows) > 12,
    )


def run_table(study: StudySpec, results: Sequence[DriftResult]) -> Table:
    """A row per run and control, with its job."""
    named: set[str] = set()
    ids = []
    for one in results:
        anchor = drift_anchor(one.base_model, one.task, one.method, one.compared)
        ids.append("" if anchor in named else anchor)
        named.add(anchor)
    rows = [
        Row(
            id=row_id,
            cells=(
                *place_cells(study, one.base_model, one.task),
                *_what(one.compared, one.method),
                numbers.number(one.seed, "" if one.seed is None else str(one.seed)),
                _drift_cell(one.drift, job_anchor(one.job)),
                text(one.state, tone="bad" if one.state == "failed" else ""),
                text(one.reason),
                text(one.job, anchor=job_anchor(one.job)),
            ),
        )
        for one, row_id in zip(results, ids, strict=True)
    ]
    return Table(
        id="drift-runs",
        caption="Drift of every run and control",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="against", is_key=True),
            Column(name="seed", kind="number", is_key=True),
            Column(name="drift", kind="number"),
            Column(name="state"),
            Column(name="reason"),
            Column(name="job"),
        ),
        rows=tuple(rows),
        note="Of two seeds against each other, the seed is the first one's.",
        can_filter=True,
    )


def layer_table(study: StudySpec, means: Sequence[LayerMean]) -> Table:
    """A row per method and layer, a column per measure: means over seeds."""
    tuned = [one for one in means if one.compared == "tuned"]
    measures = list(dict.fromkeys(one.measure for one in tuned))
    found = {(*_layer(one), one.measure): one for one in tuned}
    rows = [
        Row(
            cells=(
                *place_cells(study, base_model, task),
                text(method),
                text(pooling),
                text(state),
                *(_mean_cell(found.get((base_model, task, method, pooling, state, measure))) for measure in measures),
            )
        )
        for base_model, task, method, pooling, state in dict.fromkeys(_layer(one) for one in tuned)
    ]
    return Table(
        id="drift-measures",
        caption="Every measure by layer: mean over seeds",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="pooling"),
            Column(name="layer", is_key=True),
            *(Column(name=measure.replace("_", " "), kind="number") for measure in measures),
        ),
        rows=tuple(rows),
        note="`tunescope list measures` says what each is. Single runs, intervals and controls are in the table of layers beside "
        "this page.",
        can_filter=True,
    )


def _layer(one: LayerMean) -> tuple[str, str, str, str, str]:
    return (one.base_model, one.task, one.method or "", one.pooling, one.state)


def _mean_cell(one: LayerMean | None) -> Cell:
    if one is None or one.estimate.value is None:
        return numbers.number(None)
    value = one.estimate.value
    return numbers.number(
        value, numbers.drift(value) if one.measure == DISTANCE else numbers.short(value), anchor=job_anchor(one.jobs[0])
    )


def _place(study: StudySpec, one: DriftMean, order: Sequence[str]) -> tuple[int, ...]:
    models, tasks = [model.name for model in study.base_models], [task.name for task in study.tasks]
    methods: list[str | None] = [entry.name for entry in study.methods]
    return (
        models.index(one.base_model),
        tasks.index(one.task),
        order.index(one.compared) if one.compared in order else len(order),
        methods.index(one.method) if one.method in methods else len(methods),
    )


def _what(compared: str, method: str | None) -> tuple[Cell, Cell]:
    """Whose states, and what they stand against."""
    if compared == "tuned":
        return text(method or ""), text("base model")
    return text(method or ""), text(control_words(compared, None), tone="faint")


def _drift_cell(value: float | None, anchor: str) -> Cell:
    return numbers.number(value, "" if value is None else numbers.drift(value), anchor=anchor)


def _of(number: int, planned: int) -> str:
    return str(number) if number == planned else f"{number} of {planned}"
