"""Trade-offs: each method's score against drift, trained parameters, time and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunescope.analysis.findings import Findings
from tunescope.analysis.pareto import Price, Traded, TradeOff, trade_offs
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor, rows_anchor
from tunescope.report.content.chart import Axis, Point, Series, XYChart
from tunescope.report.content.places import MOST_PLACES, place_cells, place_columns, place_id, place_words, places_of
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.table import Column, Row, Table, text
from tunescope.study.spec import StudySpec

ID, TITLE = "tradeoffs", "Trade-offs"
_FAR = 20.0
"""Times the least price that the greatest is on a logarithmic axis."""
_WORDS: dict[Price, str] = {
    "drift": "drift",
    "trainable_parameters": "trained parameters",
    "train_s": "training time",
    "peak_memory_gib": "peak memory",
    "search_and_train_s": "time of the search and all seeds",
    "money": "money for the search and all seeds",
}
_AXES: dict[Price, Axis] = {
    "drift": Axis(label="drift (1 - debiased CKA, mean over blocks)"),
    "trainable_parameters": Axis(label="trained parameters", scale="log"),
    "train_s": Axis(label="training time of a run (seconds)"),
    "peak_memory_gib": Axis(label="peak memory of the training process (GiB)"),
    "search_and_train_s": Axis(label="search and training of all seeds (seconds)"),
    "money": Axis(label="search and training of all seeds, at compute.price_per_hour"),
}


def tradeoffs_section(findings: Findings) -> Section:
    """A chart for each price that methods differ in, and which methods no other one beats in both."""
    study = findings.plan.study
    found = trade_offs(findings.quality, findings.rows, findings.drift, findings.costs)
    if not found:
        return Section(id=ID, title=TITLE, missing=_why_nothing(findings))
    shown = places_of(study)[:MOST_PLACES]
    charts = tuple(_chart(study, one) for one in found if (one.base_model, one.task) in shown)
    told = [
        Sentence(
            text="A method is named as not beaten where no other has a mean score at least as good at a mean price at most as "
            "high. Means alone decide that; whether they differ is said by the comparisons. Training time is that of the optimiser steps; memory is told where each training's own can be told from earlier jobs'.",
            tone="faint",
        )
    ]
    if study.drift is None:
        told.append(Sentence(text="Drift is not measured: `drift: {}` in the study measures it.", tone="faint"))
    if len(places_of(study)) > MOST_PLACES:
        told.append(Sentence(text=f"Charts are of the first {MOST_PLACES} tasks; the table has all.", tone="faint"))
    return Section(id=ID, title=TITLE, sentences=tuple(told), charts=charts, tables=(_table(study, found),))


def _why_nothing(findings: Findings) -> str:
    if len(findings.plan.study.methods) == 1:
        return "Nothing to weigh: the study has one method. Name another under `methods:` and run it again; finished runs are kept."
    return "Nothing to weigh yet: no task has finished runs of two methods. Run the study again to go on from here."


def _chart(study: StudySpec, one: TradeOff) -> XYChart:
    place = (one.base_model, one.task)
    slope = numbers.as_drawn(1.0, one.metric)
    series: list[Series] = []
    for traded in one.methods:
        if len(traded.by_seed) > 1:
            seeds = tuple(
                Point(x=float(price), y=slope * score, text=f"seed {seed}", anchor=job_anchor(job))
                for seed, price, score, job in traded.by_seed
            )
            series.append(Series(name=f"{traded.method} seeds", points=seeds, method=traded.method, is_faint=True))
        score, price = traded.score, traded.price
        assert score.value is not None
        assert price.value is not None
        mean = Point(
            x=float(price.value),
            y=slope * score.value,
            low=None if score.ci_low is None else slope * score.ci_low,
            high=None if score.ci_high is None else slope * score.ci_high,
            text=f"mean of {numbers.plural(len(traded.by_seed), 'seed')}",
            anchor=rows_anchor(one.base_model, one.task, traded.method, one.metric),
        )
        series.append(Series(name=traded.method, points=(mean,), method=traded.method))
    best = [traded.method for traded in one.methods if traded.is_optimal]
    return XYChart(
        id=place_id(study, "tradeoffs", place, one.price),
        title=f"{one.metric} against {_WORDS[one.price]} on {place_words(study, place)}",
        x=_axis(one),
        y=Axis(label=numbers.axis_label(one.metric)),
        series=tuple(series),
        note=f"Not beaten in both: {', '.join(best)}. Large marks: means, with the score's 95% interval; small marks: single seeds. "
        f"{'Higher' if one.higher_is_better else 'Lower'} and further left is better.",
    )


def _axis(one: TradeOff) -> Axis:
    """The axis of a price; logarithmic where the methods lie far apart on it."""
    axis = _AXES[one.price]
    prices = [price for traded in one.methods for _, price, _, _ in traded.by_seed]
    is_far = min(prices) > 0.0 and max(prices) > _FAR * min(prices)
    return replace(axis, scale="log") if is_far else axis


def _table(study: StudySpec, found: Sequence[TradeOff]) -> Table:
    rows = [
        Row(
            cells=(
                *place_cells(study, one.base_model, one.task),
                text(_WORDS[one.price]),
                text(traded.method),
                numbers.score_cell(traded.score.value, one.metric, anchor=_anchor(one, traded)),
                numbers.number(
                    traded.price.value, _price_words(traded.price.value, one.price), anchor=_anchor(one, traded)
                ),
                text("yes" if traded.is_optimal else "no"),
            )
        )
        for one in found
        for traded in one.methods
    ]
    return Table(
        id="tradeoffs-prices",
        caption="Score and price of every method: means over seeds",
        columns=(
            *place_columns(study),
            Column(name="price in", is_key=True),
            Column(name="method", is_key=True),
            Column(name="score", kind="number"),
            Column(name="price", kind="number"),
            Column(name="not beaten in both"),
        ),
        rows=tuple(rows),
        note="Score: each task's first one; shares in percent.",
        can_filter=len(rows) > 12,
    )


def _price_words(value: float | None, price: Price) -> str:
    if value is None:
        return ""
    if price == "drift":
        return numbers.drift(value)
    if price == "trainable_parameters":
        return numbers.count(round(value))
    if price == "money":
        return numbers.money(value)
    return f"{value:.3g} GiB" if price == "peak_memory_gib" else numbers.seconds(value)


def _anchor(one: TradeOff, traded: Traded) -> str:
    return rows_anchor(one.base_model, one.task, traded.method, one.metric)
