"""Quality: every method's score on every task, all seeds, what it is read against, and the comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.findings import Findings
from tunescope.analysis.hypotheses import Compared
from tunescope.analysis.quality import Level, Quality
from tunescope.report.content import numbers
from tunescope.report.content.anchors import job_anchor, rows_anchor
from tunescope.report.content.chart import Axis, Band, Point, Series, XYChart
from tunescope.report.content.chart import Level as Line
from tunescope.report.content.places import (
    Place,
    method_names,
    place_cells,
    place_columns,
    place_id,
    place_words,
    places_of,
)
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.series import estimate_point, method_series
from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.report.content.verdicts import TABLE, answer_words, comparison_id, estimate_words
from tunescope.study.hypothesis import RUN_MEASURES
from tunescope.study.spec import StudySpec

ID, TITLE = "quality", "Quality"
_LEVEL_WORDS = {
    "majority": "always the commonest answer",
    "random": "random guess",
    "zero_shot": "base model, not trained",
}
_CLAIM_NOTE = (
    " A claim is judged by an interval of its own: the 90% interval where each side of the bound is tested at 5%, and of a ratio "
    "that of A over B, not of A - B."
)
_MOST_LETTERS = 48
"""Of a source in a legend; the table of baselines has all of it."""


def quality_section(findings: Findings) -> Section:
    """Scores by task and method with every seed, baselines, published figures, expected ranges, comparisons."""
    study = findings.plan.study
    if not any(one.num_seeds for one in findings.quality):
        return Section(id=ID, title=TITLE, missing=_why_nothing(findings))
    charts = [chart for place in places_of(study) if (chart := _chart(findings, place)) is not None]
    tables = [_scores(study, findings.quality)]
    if findings.levels:
        tables.append(_levels(study, findings.levels))
    if findings.comparisons:
        tables.append(_comparisons(study, findings.comparisons))
    return Section(
        id=ID, title=TITLE, sentences=tuple(_sentences(findings)), charts=tuple(charts), tables=tuple(tables)
    )


def _why_nothing(findings: Findings) -> str:
    failed = sum(one.num_failed for one in findings.quality if one.is_primary)
    planned = sum(one.num_planned for one in findings.quality if one.is_primary)
    told = (
        f"{failed} of {numbers.plural(planned, 'planned run')} failed, the others have" if failed else "the study has"
    )
    return (
        f"No run has a score yet: {told} not run. `tunescope run` with the study file and this store goes on from here."
    )


def _sentences(findings: Findings) -> list[Sentence]:
    study = findings.plan.study
    told = []
    for one in findings.quality:
        if one.expected is not None:
            told.append(_expected_sentence(study, one))
    told += floor_sentences(findings)
    for one in findings.quality:
        if one.is_primary and one.num_seeds < one.num_planned:
            place = place_words(study, (one.base_model, one.task))
            failed = f", {one.num_failed} failed" if one.num_failed else ""
            told.append(
                Sentence(
                    text=f"{one.method} on {place}: {one.num_seeds} of {numbers.plural(one.num_planned, 'seed')} have a "
                    f"score{failed}.",
                    anchor=_anchor(one),
                    tone="doubt",
                )
            )
    told += [
        Sentence(text=f"Each task by its first score, exploratory: {_full_stop(line)}", tone="faint")
        for opinion in findings.opinions
        for line in opinion.lines
    ]
    caveats = dict.fromkeys(one.caveat for one in findings.comparisons if one.caveat)
    return [*told, *(Sentence(text=_full_stop(caveat), tone="doubt") for caveat in caveats)]


def floor_sentences(findings: Findings) -> list[Sentence]:
    """Where a mean score is no better than what takes no training: what is said of such methods is said of models that learnt nothing."""
    study = findings.plan.study
    told = []
    for place in places_of(study):
        own = [
            one
            for one in findings.quality
            if (one.base_model, one.task) == place and one.is_primary and one.estimate.value is not None
        ]
        floors = [
            level
            for level in findings.levels
            if own
            and level.name in _LEVEL_WORDS
            and level.seed is None
            and level.value is not None
            and (level.task, level.metric) == (place[1], own[0].metric)
            and level.base_model in (None, place[0])
        ]
        if not floors:
            continue
        sign = 1.0 if own[0].higher_is_better else -1.0
        floor = max(floors, key=lambda level: sign * (level.value or 0.0))
        low = [one for one in own if sign * (one.estimate.value or 0.0) <= sign * (floor.value or 0.0)]
        if low:
            metric = own[0].metric
            means = ", ".join(f"{one.method} {numbers.value_of(one.estimate.value or 0.0, metric)}" for one in low)
            told.append(
                Sentence(
                    text=f"No better on {place_words(study, place)} than what takes no training ({_LEVEL_WORDS[floor.name]}: "
                    f"{numbers.value_of(floor.value or 0.0, metric)}): mean {metric} of {means}.",
                    anchor="quality-baselines",
                    tone="doubt",
                )
            )
    return told


def _expected_sentence(study: StudySpec, one: Quality) -> Sentence:
    assert one.expected is not None
    low, high = (numbers.value_of(bound, one.metric) for bound in (one.expected.low, one.expected.high))
    place = place_words(study, (one.base_model, one.task))
    subject = f"{one.method} on {place}, {one.metric}"
    if one.expected.is_inside is None or one.estimate.value is None:
        return Sentence(text=f"{subject}: expected {low} to {high}, no score yet.", tone="faint")
    inside = one.expected.is_inside
    mean = numbers.value_of(one.estimate.value, one.metric)
    return Sentence(
        text=f"{subject}: {mean} lies {'inside' if inside else 'outside'} the expected {low} to {high}.",
        anchor=_anchor(one),
        tone="good" if inside else "doubt",
    )


def _chart(findings: Findings, place: Place) -> XYChart | None:
    study = findings.plan.study
    own = [one for one in findings.quality if (one.base_model, one.task) == place and one.is_primary and one.num_seeds]
    if not own:
        return None
    metric = own[0].metric
    slope = numbers.as_drawn(1.0, metric)
    series: list[Series] = []
    for one in own:
        seeds = tuple(
            Point(
                x=one.method,
                y=slope * seed.value,
                text=f"seed {seed.seed}",
                anchor=job_anchor(seed.job),
            )
            for seed in one.seeds
            if seed.value is not None
        )
        if len(seeds) > 1:
            series.append(Series(name=f"{one.method} seeds", points=seeds, method=one.method, is_faint=True))
        mean = estimate_point(
            one.method,
            one.estimate,
            slope=slope,
            text=f"mean of {one.num_seeds} seeds" if len(seeds) > 1 else "".join(seed.text for seed in seeds),
            anchor=_anchor(one),
        )
        series += method_series(one.method, [mean])
    lines = [
        Line(name=_level_name(level), value=slope * level.value)
        for level in findings.levels
        if level.value is not None
        and (level.task, level.metric) == (place[1], metric)
        and level.base_model in (None, place[0])
    ]
    bands = [
        Band(name=f"expected of {one.method}", low=slope * one.expected.low, high=slope * one.expected.high)
        for one in own
        if one.expected is not None
    ]
    return XYChart(
        id=place_id(study, ID, place),
        title=f"{metric} on {place_words(study, place)}",
        x=Axis(
            label="method",
            categories=tuple(name for name in method_names(study) if any(one.method == name for one in own)),
        ),
        y=Axis(label=numbers.axis_label(metric)),
        series=tuple(series),
        bands=tuple(bands),
        levels=tuple(lines),
        note=f"{_seed_note(own)}{_interval_note(own)} {'Higher' if own[0].higher_is_better else 'Lower'} is better.",
    )


def _seed_note(own: Sequence[Quality]) -> str:
    return "Small marks: one seed each. " if any(one.num_seeds > 1 for one in own) else ""


def _interval_note(own: Sequence[Quality]) -> str:
    """What the intervals of some estimates are of."""
    methods = dict.fromkeys(
        numbers.interval_method(one.estimate.method) for one in own if one.estimate.ci_low is not None
    )
    levels = dict.fromkeys(f"{100.0 * one.estimate.level:g}%" for one in own if one.estimate.ci_low is not None)
    if not methods:
        reasons = dict.fromkeys(one.estimate.reason for one in own if one.estimate.reason)
        return f"No interval: {'; '.join(reasons)}." if reasons else "No interval."
    return f"Interval: {' and '.join(levels)}, {'; '.join(methods)}."


def _scores(study: StudySpec, quality: Sequence[Quality]) -> Table:
    columns = [
        *place_columns(study),
        Column(name="score", is_key=True),
        Column(name="method", is_key=True),
        Column(name="mean", kind="number"),
        Column(name="low", kind="number"),
        Column(name="high", kind="number"),
        Column(name="sd over seeds", kind="number"),
        Column(name="seeds", kind="number"),
        Column(name="examples", kind="number"),
        Column(name="expected"),
        Column(name="by seed"),
    ]
    rows = []
    for one in quality:
        anchor = _anchor(one)
        cells = [
            *place_cells(study, one.base_model, one.task),
            text(one.metric),
            text(one.method),
            numbers.score_cell(one.estimate.value, one.metric, anchor=anchor),
            numbers.score_cell(one.estimate.ci_low, one.metric, anchor=anchor),
            numbers.score_cell(one.estimate.ci_high, one.metric, anchor=anchor),
            numbers.score_cell(one.sd, one.metric, anchor=anchor),
            numbers.number(one.num_seeds, _seeds(one), anchor=anchor),
            numbers.number(one.estimate.num_examples),
            _expected_cell(one),
            text(_by_seed(one), anchor=anchor),
        ]
        rows.append(Row(cells=tuple(cells)))
    return Table(
        id="quality-scores",
        caption="Scores: mean over seeds with its interval",
        columns=tuple(columns),
        rows=tuple(rows),
        note=f"In percent, except scores that are no shares. {_interval_note(quality)}",
        can_filter=len(rows) > 12,
    )


def _seeds(one: Quality) -> str:
    return str(one.num_seeds) if one.num_seeds == one.num_planned else f"{one.num_seeds} of {one.num_planned}"


def _by_seed(one: Quality) -> str:
    return ", ".join(
        f"{seed.seed}: {seed.state if seed.value is None else numbers.value_of(seed.value, one.metric)}"
        for seed in one.seeds
    )


def _expected_cell(one: Quality) -> Cell:
    if one.expected is None:
        return Cell(shown="")
    shown = f"{numbers.value_of(one.expected.low, one.metric)} to {numbers.value_of(one.expected.high, one.metric)}"
    if one.expected.is_inside is None:
        return text(shown)
    inside = one.expected.is_inside
    return text(f"{shown}: {'inside' if inside else 'outside'}", tone="good" if inside else "doubt")


def _levels(study: StudySpec, levels: Sequence[Level]) -> Table:
    columns = [*place_columns(study), Column(name="score", is_key=True), Column(name="baseline", is_key=True)]
    rows = [
        Row(
            cells=(
                *place_cells(study, level.base_model, level.task),
                text(level.metric),
                text(level.name.replace("_", "-") + ("" if level.seed is None else f", seed {level.seed}")),
                numbers.score_cell(
                    level.value,
                    level.metric,
                    anchor=rows_anchor(level.base_model, level.task, level.name, level.metric),
                ),
                text(level.source),
            )
        )
        for level in levels
    ]
    return Table(
        id="quality-baselines",
        caption="Baselines and published figures",
        columns=(*columns, Column(name="value", kind="number"), Column(name="source")),
        rows=tuple(rows),
        can_filter=len(rows) > 12,
    )


def _level_name(level: Level) -> str:
    if level.name == "reference":
        source = ",".join(level.source.split(",")[:2])
        return f"published: {source if len(source) <= _MOST_LETTERS else source[:_MOST_LETTERS].rstrip() + '…'}"
    draw = "" if level.seed is None else f", seed {level.seed}"
    return _LEVEL_WORDS.get(level.name, level.name.replace("_", "-")) + draw


def _comparisons(study: StudySpec, comparisons: Sequence[Compared]) -> Table:
    has_claim = any(one.comparison.claim is not None for one in comparisons)
    columns = [
        *place_columns(study),
        Column(name="measure", is_key=True),
        Column(name="A", is_key=True),
        Column(name="B", is_key=True),
        Column(name="mean A", kind="number"),
        Column(name="mean B", kind="number"),
        Column(name="A - B", kind="number"),
        Column(name="low", kind="number"),
        Column(name="high", kind="number"),
        Column(name="p", kind="number"),
        Column(name="p after Holm", kind="number"),
        Column(name="effect size", kind="number"),
        Column(name="seeds"),
        *([Column(name="what the claim rests on")] if has_claim else []),
        Column(name="verdict on A"),
    ]
    rows = []
    for number, one in enumerate(comparisons):
        comparison, verdict = one.comparison, one.verdict
        difference, anchor = comparison.difference, _arm_anchor(study, one, one.a)
        cells = [
            *place_cells(study, one.base_model, one.task),
            text(numbers.measure_words(one.measure)),
            text(one.a),
            text(one.b),
            numbers.score_cell(one.a_mean, one.measure, anchor=anchor),
            numbers.score_cell(one.b_mean, one.measure, anchor=_arm_anchor(study, one, one.b)),
            numbers.difference_cell(difference.value, one.measure, anchor=anchor),
            numbers.difference_cell(difference.ci_low, one.measure, anchor=anchor),
            numbers.difference_cell(difference.ci_high, one.measure, anchor=anchor),
            _p_cell(verdict.p_value, anchor),
            _p_cell(verdict.adjusted_p, anchor),
            numbers.number(comparison.effect_size.value, anchor=anchor),
            text(_seed_words(comparison.num_seeds)),
            *([text(_claim_estimate(one))] if has_claim else []),
            text(answer_words(one), tone="doubt" if verdict.answer in ("undecided", "not estimable") else ""),
        ]
        rows.append(Row(cells=tuple(cells), id=comparison_id(number)))
    declared = all(one.is_declared for one in comparisons)
    kind = "declared in the study" if declared else "exploratory: the study declares none"
    tested = sum(one.verdict.p_value is not None for one in comparisons)
    left = f" ({tested} estimable, Holm is over those)" if tested < len(comparisons) else ""
    return Table(
        id=TABLE,
        caption=f"Comparisons: a family of {len(comparisons)}{left}, {kind}",
        columns=tuple(columns),
        rows=tuple(rows),
        note="Differences of shares in points, all else in its own unit, with 95% intervals over seeds and examples; p: of the "
        "claim where the study makes one, else of a difference; Holm: corrected over the family; effect size: Hedges' g in "
        "units of the spread between seeds." + (_CLAIM_NOTE if has_claim else ""),
        can_filter=len(rows) > 12,
    )


def _claim_estimate(one: Compared) -> str:
    """The estimate that a claim is judged by, with its interval and that interval's level."""
    test = one.comparison.claim_test
    if one.comparison.claim is None or test is None or test.estimate is None:
        return ""
    level = "" if test.ci_low is None else f", {100.0 * test.level:.4g}% interval"
    return f"{estimate_words(one)}{level}"


def _arm_anchor(study: StudySpec, one: Compared, method: str) -> str:
    """Where an arm's rows are: the score's, or of what has no examples those of the first score of the same runs."""
    first = next(task.primary_metric for task in study.tasks if task.name == one.task)
    return rows_anchor(one.base_model, one.task, method, first if one.measure in RUN_MEASURES else one.measure)


def _p_cell(value: float | None, anchor: str) -> Cell:
    return numbers.number(value, "" if value is None else numbers.p_value(value), anchor=anchor)


def _seed_words(num_seeds: tuple[int, int]) -> str:
    a, b = num_seeds
    return str(a) if a == b else f"{a} against {b}"


def _anchor(one: Quality) -> str:
    return rows_anchor(one.base_model, one.task, one.method, one.metric)


def _full_stop(line: str) -> str:
    return line if line.endswith(".") else f"{line}."
