"""Weights: what training did to them, block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tunescope.analysis.findings import Findings
from tunescope.analysis.updates import BlockUpdate
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor
from tunescope.report.content.chart import Axis, Chart, Point, Series, XYChart
from tunescope.report.content.places import (
    MOST_PLACES,
    method_names,
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

ID, TITLE = "weights", "Weights"

Read = Callable[[BlockUpdate], float | None]


def weights_section(findings: Findings) -> Section:
    """Norms, ranks and intruder directions of the updates, by block."""
    study = findings.plan.study
    if study.drift is None or not study.drift.weights:
        why = (
            "the study has no `drift:` section" if study.drift is None else "its `drift:` section says `weights: false`"
        )
        return Section(
            id=ID,
            title=TITLE,
            missing=f"Not measured: {why}. Add `drift: {{weights: true}}` and run it again; finished runs are kept.",
        )
    if not findings.block_updates:
        told = "Nothing measured yet: no drift job of a run is done. Run the study again to go on from here."
        return Section(id=ID, title=TITLE, missing=told)
    charts: list[Chart] = []
    for place in places_of(study)[:MOST_PLACES]:
        own = [one for one in findings.block_updates if (one.base_model, one.task) == place]
        where = place_words(study, place)
        charts += _chart(
            study,
            own,
            place_id(study, "weights-norm", place),
            f"Size of the update on {where}",
            "norm of the update",
            lambda one: one.update_norm,
        )
        charts += _chart(
            study,
            own,
            place_id(study, "weights-rank", place),
            f"Effective rank of the update on {where}",
            "effective rank, mean over matrices",
            lambda one: one.effective_rank,
        )
        charts += _chart(
            study,
            own,
            place_id(study, "weights-intruders", place),
            f"Intruder directions on {where}",
            "left intruder directions, sum over matrices",
            lambda one: one.intruders,
            control=lambda one: one.random_intruders,
        )
    return Section(
        id=ID,
        title=TITLE,
        sentences=tuple(_sentences(study, findings)),
        charts=tuple(charts),
        tables=(_table(study, findings.block_updates),),
    )


def _sentences(study: StudySpec, findings: Findings) -> list[Sentence]:
    told = [
        Sentence(
            text="An update is tuned minus base weights, adapters merged. Effective rank: exp of the entropy of its normalised "
            "singular values. Intruders: leading left singular directions of the tuned matrix whose cosine with every direction of the base is below "
            "0.5 (arXiv:2410.21228); other thresholds and the right side are in each drift job's `weights.parquet`.",
            tone="faint",
        )
    ]
    if study.drift is not None and not study.drift.weight_directions:
        told.append(
            Sentence(
                text="Intruder directions are not measured: `drift: {weight_directions: true}` measures them.",
                tone="faint",
            )
        )
    notes = dict.fromkeys(f"{one.method}: {one.note}" for one in findings.updates if one.module == "*" and one.note)
    told += [Sentence(text=f"{note}.") for note in notes]
    if len(places_of(study)) > MOST_PLACES:
        told.append(Sentence(text=f"Charts are of the first {MOST_PLACES} tasks; the table has all.", tone="faint"))
    return told


def _chart(
    study: StudySpec,
    own: Sequence[BlockUpdate],
    chart_id: str,
    title: str,
    label: str,
    read: Read,
    *,
    control: Read | None = None,
) -> list[Chart]:
    """A measure by block, a line per method; nothing where no block has it."""
    blocks = sorted({one.block for one in own if one.block is not None and read(one) is not None})
    series: list[Series] = []
    for method in method_names(study):
        found = [one for one in own if one.method == method and one.block is not None]
        seeds = list(dict.fromkeys(one.seed for one in found if one.seed is not None))
        for seed in seeds if len(seeds) > 1 else []:
            series += seed_series(method, method, seed, _points(found, seed, read), style="line")
        series += method_series(method, _points(found, None, read), style="line and marks")
        by_chance = _points(found, None, control) if control is not None else []
        if by_chance:
            name = f"{method}: random update of its norm"
            series.append(Series(name=name, role="control", points=tuple(by_chance), style="line and marks"))
    if not series:
        return []
    return [
        XYChart(
            id=chart_id,
            title=title,
            x=Axis(label="block", categories=tuple(_block_words(block) for block in blocks)),
            y=Axis(label=label),
            series=tuple(series),
            note="Lines: mean over seeds. Faint lines: single seeds."
            + (" Grey: as many as a random update of the same norm gives." if control is not None else ""),
        )
    ]


def _points(found: Sequence[BlockUpdate], seed: int | None, read: Read) -> list[Point]:
    return [
        Point(
            x=_block_words(one.block),
            y=value,
            text="mean over seeds" if seed is None else f"seed {seed}",
            anchor="weights-blocks" if seed is None else job_anchor(one.jobs[0]),
        )
        for one in found
        if one.seed == seed and (value := read(one)) is not None
    ]


def _table(study: StudySpec, updates: Sequence[BlockUpdate]) -> Table:
    has_intruders = any(one.intruders is not None for one in updates)
    columns = [
        *place_columns(study),
        Column(name="method", is_key=True),
        Column(name="block", is_key=True),
        Column(name="norm of the update", kind="number"),
        Column(name="of the base's", kind="number"),
        Column(name="share of weights changed", kind="number"),
        Column(name="effective rank", kind="number"),
        Column(name="stable rank", kind="number"),
        *(
            [Column(name="intruders", kind="number"), Column(name="intruders of a random update", kind="number")]
            if has_intruders
            else []
        ),
        Column(name="seeds", kind="number"),
    ]
    rows = []
    for one in updates:
        if one.seed is not None:
            continue
        anchor = job_anchor(one.jobs[0]) if one.jobs else ""
        cells = [
            *place_cells(study, one.base_model, one.task),
            text(one.method),
            text(_block_words(one.block)),
            numbers.number(one.update_norm, anchor=anchor),
            numbers.number(one.relative_norm, anchor=anchor),
            numbers.number(one.share_changed, numbers.percent(one.share_changed), anchor=anchor),
            numbers.number(one.effective_rank, anchor=anchor),
            numbers.number(one.stable_rank, anchor=anchor),
        ]
        if has_intruders:
            cells += [numbers.number(one.intruders, anchor=anchor), numbers.number(one.random_intruders, anchor=anchor)]
        rows.append(Row(cells=(*cells, numbers.number(one.num_seeds))))
    return Table(
        id="weights-blocks",
        caption="Updates of the weights by block: mean over seeds",
        columns=tuple(columns),
        rows=tuple(rows),
        note="Of the base's: norm of the update / norm of the base weights, of the parameters that are listed: all of a full model, "
        "those that an adapter changes of the others; norms of updates compare between methods, these shares do not. Single runs and parameters are in the table of weights beside this page.",
        can_filter=True,
    )


def _block_words(block: int | None) -> str:
    """Blocks are counted from 1 on the page, as layers are."""
    return "outside blocks" if block is None else str(block + 1)
