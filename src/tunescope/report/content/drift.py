"""Drift: how far hidden states moved from the base model's, by layer, beside controls, and through training."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.drift_means import DriftGrowth, DriftMean, drift_growth, drift_means
from tunescope.analysis.findings import Findings
from tunescope.analysis.layer_means import DISTANCE, LayerMean, layer_means, pair_means
from tunescope.report.content import numbers
from tunescope.report.content.anchors import drift_anchor, job_anchor
from tunescope.report.content.chart import Axis, Chart, HeatMap, Point, Series, XYChart
from tunescope.report.content.controls import CONTROL_WORDS, control_words
from tunescope.report.content.drift_tables import layer_table, mean_table, run_table
from tunescope.report.content.places import MOST_PLACES, Place, method_names, place_id, place_words, places_of
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.series import control_series, estimate_point, method_series, seed_series
from tunescope.study.spec import StudySpec

ID, TITLE = "drift", "Drift by layer"
_UNRELATED = ("shuffled", "random_network")
"""Controls of states that have nothing to do with each other: told in the note, as they would flatten the chart."""
_LABEL = "1 - debiased CKA"


def drift_section(findings: Findings) -> Section:
    """Drift of every method by layer with its controls, pairs of layers, growth through training."""
    study = findings.plan.study
    if study.drift is None:
        why = (
            "Not measured: the study has no `drift:` section. Add `drift: {}` and run it again; finished runs are kept."
        )
        return Section(id=ID, title=TITLE, missing=why)
    means = drift_means(findings.drift)
    if not any(one.estimate.value is not None for one in means):
        reasons = dict.fromkeys(one.reason for one in means if one.reason)
        told = "; ".join(list(reasons)[:3]) or "no drift job is done"
        return Section(
            id=ID, title=TITLE, missing=f"Nothing measured yet: {told}. Run the study again to go on from here."
        )
    layers = layer_means(findings.layers)
    growth = drift_growth(findings.layers)
    pairs = pair_means(findings.layers)
    charts: list[Chart] = []
    for place in places_of(study)[:MOST_PLACES]:
        charts += _by_layer(study, place, layers)
        charts += _through_training(study, place, growth)
        charts += _pairs(study, place, pairs)
    tables = (
        mean_table(study, means),
        run_table(study, findings.drift),
        layer_table(study, layers),
    )
    return Section(
        id=ID,
        title=TITLE,
        sentences=tuple(_sentences(study, means)),
        charts=tuple(charts),
        tables=tuple(table for table in tables if table.rows),
    )


def _sentences(study: StudySpec, means: Sequence[DriftMean]) -> list[Sentence]:
    told = []
    for place in places_of(study):
        own = [one for one in means if (one.base_model, one.task) == place]
        tuned = [one for one in own if one.compared == "tuned" and one.estimate.value is not None]
        if not tuned:
            continue
        drifts = "; ".join(_drift_words(one.method or "", one) for one in tuned)
        beside = "; ".join(
            f"{control_words(one.compared, one.method)} {numbers.drift(one.estimate.value)}"
            for one in own
            if one.compared in ("seeds", "random_update") and one.estimate.value is not None
        )
        text = f"On {place_words(study, place)}: {drifts}."
        told.append(Sentence(text=text, anchor="drift-means"))
        if beside:
            told.append(Sentence(text=f"To read that against: {beside}.", anchor="drift-means", tone="faint"))
    if told:
        told.insert(
            0,
            Sentence(
                text="Drift is one minus the debiased linear CKA of a run's hidden states with the base model's on the same texts, mean over "
                "blocks: 0 where nothing moved, about 1 where states are unrelated. In brackets: 95% interval over seeds, which may "
                "reach below 0.",
                tone="faint",
            ),
        )
    lost = dict.fromkeys(one.reason for one in means if one.estimate.value is None and one.reason)
    told += [Sentence(text=f"No drift: {reason}.", tone="doubt") for reason in lost]
    if len(places_of(study)) > MOST_PLACES:
        told.append(Sentence(text=f"Charts are of the first {MOST_PLACES} tasks; the tables have all.", tone="faint"))
    return told


def _drift_words(name: str, one: DriftMean) -> str:
    assert one.estimate.value is not None
    interval = ""
    if one.estimate.ci_low is not None and one.estimate.ci_high is not None:
        interval = f" [{numbers.drift(one.estimate.ci_low)}, {numbers.drift(one.estimate.ci_high)}]"
    return f"{name} {numbers.drift(one.estimate.value)}{interval}"


def _by_layer(study: StudySpec, place: Place, means: Sequence[LayerMean]) -> list[Chart]:
    """A chart per pooling."""
    own = [one for one in means if (one.base_model, one.task) == place and one.measure == DISTANCE]
    charts: list[Chart] = []
    for pooling in dict.fromkeys(one.pooling for one in own):
        pooled = [one for one in own if one.pooling == pooling]
        states = tuple(dict.fromkeys(one.state for one in pooled))
        series: list[Series] = []
        for compared, method in dict.fromkeys((one.compared, one.method) for one in pooled):
            found = [one for one in pooled if (one.compared, one.method) == (compared, method)]
            if compared == "tuned" and method is not None:
                series += _method_lines(method, found)
            elif compared not in _UNRELATED:
                points = [
                    Point(x=layer_words(one.state), y=one.estimate.value, anchor=_anchor(one))
                    for one in found
                    if one.estimate.value is not None
                ]
                series += control_series(control_words(compared, method), points)
        if not any(one.role == "method" for one in series):
            continue
        charts.append(
            XYChart(
                id=place_id(study, "drift-layers", place, pooling),
                title=f"Drift by layer on {place_words(study, place)} ({_pooling_words(pooling)})",
                x=Axis(label="layer", categories=tuple(layer_words(state) for state in states)),
                y=Axis(label=_LABEL),
                series=tuple(series),
                note=_layer_note(pooled),
            )
        )
    return charts


def _method_lines(method: str, found: Sequence[LayerMean]) -> list[Series]:
    """The mean over seeds, and each seed behind it where there are several."""
    seeds = list(dict.fromkeys(seed for one in found for seed, _, _ in one.by_seed))
    series: list[Series] = []
    for seed in seeds if len(seeds) > 1 else []:
        points = [
            Point(x=layer_words(one.state), y=value, text=f"seed {seed}", anchor=job_anchor(job))
            for one in found
            for of, value, job in one.by_seed
            if of == seed
        ]
        series += seed_series(method, method, seed, points, style="line")
    means = [estimate_point(layer_words(one.state), one.estimate, anchor=_anchor(one)) for one in found]
    return [*series, *method_series(method, means, style="line and marks")]


def _layer_note(found: Sequence[LayerMean]) -> str:
    tuned = [one for one in found if one.compared == "tuned"]
    counts = {one.estimate.num_seeds for one in tuned if one.estimate.num_seeds}
    methods = dict.fromkeys(one.estimate.method for one in tuned if one.estimate.method)
    told = [f"Lines: mean over {numbers.plural(max(counts), 'seed')}" if counts else "Lines: one run each"]
    told[0] += f", interval {'; '.join(methods)}." if methods else "."
    if counts and max(counts) > 1:
        told.append("Faint lines: single seeds.")
    told.append("Grey: controls, means without interval.")
    for control in _UNRELATED:
        values = [
            one.estimate.value
            for one in found
            if one.compared == control and one.estimate.value is not None and one.state.startswith("block_")
        ]
        if values:
            low, high = min(values), max(values)
            told.append(
                f"Not drawn: {CONTROL_WORDS[control]}, {numbers.drift(low)} to {numbers.drift(high)} over the blocks."
            )
    return " ".join(told)


def _through_training(study: StudySpec, place: Place, growth: Sequence[DriftGrowth]) -> list[Chart]:
    own = [one for one in growth if (one.base_model, one.task) == place and one.points]
    if not own:
        return []
    series: list[Series] = []
    for one in own:
        seeds = list(dict.fromkeys(seed for point in one.points for seed, _ in point.by_seed))
        for seed in seeds if len(seeds) > 1 else []:
            points = [
                Point(x=float(point.step), y=value, text=f"seed {seed}")
                for point in one.points
                for of, value in point.by_seed
                if of == seed
            ]
            series += seed_series(one.method, one.method, seed, points, style="line")
        means = [estimate_point(float(point.step), point.estimate) for point in one.points]
        series += method_series(one.method, means, style="line and marks")
    count = numbers.plural(own[0].num_examples, "selection row")
    return [
        XYChart(
            id=place_id(study, "drift-training", place),
            title=f"Drift through training on {place_words(study, place)}",
            x=Axis(label="step"),
            y=Axis(label=f"{_LABEL}, mean over blocks"),
            series=tuple(series),
            note=f"On {count}, so not comparable with the drift of the kept weights above. Faint lines: single seeds.",
        )
    ]


def _pairs(study: StudySpec, place: Place, means: Sequence[LayerMean]) -> list[Chart]:
    own = [one for one in means if (one.base_model, one.task) == place]
    charts: list[Chart] = []
    for method in method_names(study):
        for pooling in dict.fromkeys(one.pooling for one in own if one.method == method):
            found = {(one.state, one.other_state): one for one in own if (one.method, one.pooling) == (method, pooling)}
            states = list(dict.fromkeys(state for state, _ in found))
            others = list(dict.fromkeys(other for _, other in found))
            num_seeds = max(len(one.by_seed) for one in found.values())
            charts.append(
                HeatMap(
                    id=place_id(study, "drift-pairs", place, method, pooling),
                    title=f"Pairs of layers: {method} on {place_words(study, place)} ({_pooling_words(pooling)})",
                    x_label=f"layer of {method}",
                    y_label="layer of the base model",
                    columns=tuple(layer_words(state) for state in others),
                    rows=tuple(layer_words(state) for state in states),
                    values=tuple(tuple(_value(found.get((state, other))) for other in others) for state in states),
                    value_label="debiased linear CKA",
                    limits=(0.0, 1.0),
                    note=f"1: the same up to rotation and scale. Mean over {numbers.plural(num_seeds, 'seed')}.",
                )
            )
    return charts


def _pooling_words(pooling: str) -> str:
    """How a text's hidden states were made one; "mean" alone would read as one over seeds."""
    return {"mean": "mean over tokens"}.get(pooling, pooling.replace("_", " "))


def layer_words(state: str) -> str:
    """A hidden state as an axis has it: emb, 1, 2, ..., norm."""
    if state.startswith("block_"):
        return str(int(state.removeprefix("block_")))
    return {"embeddings": "emb", "final_norm": "norm"}.get(state, state)


def _anchor(one: LayerMean) -> str:
    return drift_anchor(one.base_model, one.task, one.method, one.compared)


def _value(one: LayerMean | None) -> float | None:
    return None if one is None else one.estimate.value
