"""Cost: what the study took, by kind of job, method and task, failed jobs and trials included."""

from __future__ import annotations

from collections.abc import Sequence

from tunescope.analysis.cost_totals import CostTotal, cost_totals
from tunescope.analysis.findings import Findings
from tunescope.analysis.ledger import Cost, RelativeCost
from tunescope.report.content import numbers
from tunescope.report.content.anchors import rows_anchor
from tunescope.report.content.machines import history_sentences, history_tables
from tunescope.report.content.places import has_several_models, model_words, place_cells, place_columns
from tunescope.report.content.section import Section, Sentence
from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.study.spec import StudySpec

ID, TITLE = "cost", "Cost"
_ENERGY_NOTE = (
    " Energy is of a job's whole GPU, or of all processors of its machine, whoever used them: jobs side by side on one device "
    "count it each."
)


def cost_section(findings: Findings) -> Section:
    """Totals, methods beside the reference method, and the ledger."""
    study = findings.plan.study
    totals = cost_totals(findings.costs)
    if not any(one.num_done or one.num_failed for one in totals):
        told = "Nothing spent yet: no job of the study has run. `tunescope plan` predicts what it will take."
        return Section(id=ID, title=TITLE, missing=told)
    num_machines = len({(one.hostname, one.processor, one.gpus) for one in findings.provenance.environments})
    tables = [_totals(totals), *history_tables(findings.history), _ledger(study, findings.costs)]
    if findings.relative_costs:
        tables.insert(0, _relative(study, findings.relative_costs))
    return Section(
        id=ID,
        title=TITLE,
        sentences=(
            *_sentences(study, totals, findings.relative_costs, num_machines),
            *history_sentences(findings.history),
        ),
        tables=tuple(tables),
    )


def _sentences(
    study: StudySpec, totals: Sequence[CostTotal], relative: Sequence[RelativeCost], num_machines: int
) -> list[Sentence]:
    everything = totals[-1]
    gpu = f", {numbers.seconds(everything.gpu_seconds)} of it on a GPU" if everything.gpu_seconds else ""
    price = "" if everything.price is None else f", {numbers.money(everything.price)} at the study's price per hour"
    failed = f", {everything.num_failed} of them failed" if everything.num_failed else ""
    told = [
        Sentence(
            text=f"{numbers.plural(everything.num_done + everything.num_failed, 'job')} took {numbers.seconds(everything.seconds)}"
            f"{gpu}{price}{failed}.",
            anchor="cost-totals",
        )
    ]
    if everything.price is None:
        told.append(
            Sentence(
                text="No price: `compute: {price_per_hour: ...}` in the study gives one; it changes no result.",
                tone="faint",
            )
        )
    if num_machines > 1:
        told.append(
            Sentence(
                text=f"Jobs ran on {num_machines} machines: times and memory of two methods compare where both ran on one.",
                anchor="provenance-environments",
                tone="doubt",
            )
        )
    for one in relative:
        if one.task is None and one.method != one.reference:
            told += _relative_sentence(study, one)
    return told


def _relative_sentence(study: StudySpec, one: RelativeCost) -> list[Sentence]:
    parts = []
    if one.parameters_ratio is not None:
        parts.append(f"{numbers.times_the(one.parameters_ratio)} trained parameters")
    if one.time_ratio is not None:
        parts.append(f"{numbers.times_the(one.time_ratio)} training time")
    if one.memory_ratio is not None:
        parts.append(f"{numbers.times_the(one.memory_ratio)} peak memory of the {one.memory_of or 'process'}")
    if not parts:
        return []
    model = f" under {model_words(study, one.base_model)}" if has_several_models(study) else ""
    over = f", geometric mean over {one.num_tasks} tasks" if one.num_tasks > 1 else ""
    return [
        Sentence(text=f"{one.method} beside {one.reference}{model}: {', '.join(parts)}{over}.", anchor="cost-relative")
    ]


def _relative(study: StudySpec, relative: Sequence[RelativeCost]) -> Table:
    rows = []
    first = {task.name: task.primary_metric for task in study.tasks}
    for one in relative:
        anchor = "" if one.task is None else rows_anchor(one.base_model, one.task, one.method, first[one.task])
        cells = [
            *place_cells(study, one.base_model, one.task or "all tasks"),
            text(one.method),
            numbers.number(one.trainable_parameters, _count(one.trainable_parameters), anchor=anchor),
            numbers.number(one.train_s, "" if one.train_s is None else numbers.seconds(one.train_s), anchor=anchor),
            _gib(one.peak_memory_gib, anchor),
            text(one.memory_of or ""),
            *(_ratio(value, anchor) for value in (one.parameters_ratio, one.time_ratio, one.memory_ratio)),
            numbers.number(one.num_seeds),
        ]
        rows.append(Row(cells=tuple(cells)))
    reference = relative[0].reference
    return Table(
        id="cost-relative",
        caption=f"Trainings beside {reference}: means over seeds, and their ratios",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="trained parameters", kind="number"),
            Column(name="training time", kind="number"),
            Column(name="peak memory", kind="number"),
            Column(name="memory of"),
            Column(name="parameters ratio", kind="number"),
            Column(name="time ratio", kind="number"),
            Column(name="memory ratio", kind="number"),
            Column(name="seeds", kind="number"),
        ),
        rows=tuple(rows),
        note="Over all tasks: geometric mean of the ratios. Time is of the optimiser steps of single runs, without the sweep's trials; the ledger has whole jobs. Memory is left out where a process held more than half of its peak before the training began.",
        can_filter=len(rows) > 12,
    )


def _totals(totals: Sequence[CostTotal]) -> Table:
    has_price = any(one.price is not None for one in totals)
    has_gpu = any(one.gpu_seconds for one in totals)
    has_energy = any(one.energy_j is not None for one in totals)
    rows = []
    for one in totals:
        cells = [
            text("all jobs" if one.what == "all" else one.what.replace("_", " ")),
            numbers.number(one.num_done, _of(one.num_done, one.num_jobs)),
            numbers.number(one.num_failed),
            numbers.number(one.seconds, numbers.seconds(one.seconds), anchor="cost-ledger"),
        ]
        cells += [numbers.number(one.gpu_seconds, numbers.seconds(one.gpu_seconds))] if has_gpu else []
        cells += [_energy(one.energy_j)] if has_energy else []
        cells += [_price(one.price)] if has_price else []
        rows.append(Row(cells=(*cells, _gib(one.peak_memory_gib))))
    return Table(
        id="cost-totals",
        caption="What each kind of job took",
        columns=(
            Column(name="kind of job", is_key=True),
            Column(name="done", kind="number"),
            Column(name="failed", kind="number"),
            Column(name="time", kind="number"),
            *([Column(name="GPU time", kind="number")] if has_gpu else []),
            *([Column(name="energy", kind="number")] if has_energy else []),
            *([Column(name="price", kind="number")] if has_price else []),
            Column(name="largest memory", kind="number"),
        ),
        rows=tuple(rows),
        note="Wall clock, jobs that ran side by side counted each; failed jobs with their last attempt."
        + (_ENERGY_NOTE if has_energy else ""),
    )


def _ledger(study: StudySpec, costs: Sequence[Cost]) -> Table:
    has_price = any(one.price is not None for one in costs)
    has_prediction = any(one.predicted_s is not None for one in costs)
    has_gpu = any(one.gpu_seconds for one in costs)
    has_utilisation = any(one.gpu_utilisation_percent is not None for one in costs)
    has_energy = any(one.energy_j is not None for one in costs)
    rows = []
    for one in costs:
        cells = [
            *place_cells(study, one.base_model, one.task),
            text(one.method or ""),
            text(_kind_words(one)),
            numbers.number(one.num_done, _of(one.num_done, one.num_jobs)),
            numbers.number(one.num_failed),
            numbers.number(one.seconds, numbers.seconds(one.seconds), anchor="provenance-jobs"),
        ]
        if has_prediction:
            cells.append(numbers.number(one.predicted_s, _predicted(one)))
        cells += [numbers.number(one.num_tokens), _gib(one.peak_memory_gib), _gib(one.gpu_peak_gib)]
        cells += [numbers.number(one.gpu_seconds, numbers.seconds(one.gpu_seconds))] if has_gpu else []
        cells += [_percent(one.gpu_utilisation_percent)] if has_utilisation else []
        cells += [_energy(one.energy_j)] if has_energy else []
        cells += [_price(one.price)] if has_price else []
        rows.append(Row(cells=tuple(cells)))
    return Table(
        id="cost-ledger",
        caption="Ledger: every kind of job by method and task",
        columns=(
            *place_columns(study),
            Column(name="method", is_key=True),
            Column(name="kind of job", is_key=True),
            Column(name="done", kind="number"),
            Column(name="failed", kind="number"),
            Column(name="time", kind="number"),
            *([Column(name="predicted", kind="number")] if has_prediction else []),
            Column(name="tokens", kind="number"),
            Column(name="process memory", kind="number"),
            Column(name="GPU memory", kind="number"),
            *([Column(name="GPU time", kind="number")] if has_gpu else []),
            *([Column(name="GPU busy", kind="number")] if has_utilisation else []),
            *([Column(name="energy", kind="number")] if has_energy else []),
            *([Column(name="price", kind="number")] if has_price else []),
        ),
        rows=tuple(rows),
        note=" ".join(
            told
            for told, is_there in (
                ("Predicted: for the jobs that are done, before they ran; their time is in brackets.", has_prediction),
                ("GPU busy: share of their time in which a kernel ran, sampled.", has_utilisation),
                (_ENERGY_NOTE.strip(), has_energy),
            )
            if is_there
        ),
        can_filter=True,
    )


def _kind_words(one: Cost) -> str:
    """The kind of job; a baseline that reads the base model has a line of its own, and says so."""
    words = one.kind.replace("_", " ")
    return f"{words} of the base model" if one.kind == "baseline" and one.base_model is not None else words


def _predicted(one: Cost) -> str:
    if one.predicted_s is None:
        return ""
    return f"{numbers.seconds(one.predicted_s)} ({numbers.seconds(one.done_s)})"


def _ratio(value: float | None, anchor: str) -> Cell:
    return numbers.number(value, "" if value is None else numbers.ratio(value), anchor=anchor)


def _gib(value: float | None, anchor: str = "") -> Cell:
    return numbers.number(value, "" if value is None else f"{value:.3g} GiB", anchor=anchor)


def _energy(value: float | None) -> Cell:
    return numbers.number(value, "" if value is None else numbers.energy(value))


def _percent(value: float | None) -> Cell:
    return numbers.number(value, "" if value is None else f"{value:.0f}%")


def _price(value: float | None) -> Cell:
    return numbers.number(value, "" if value is None else numbers.money(value))


def _count(value: float | None) -> str:
    return "" if value is None else numbers.count(round(value))


def _of(number: int, planned: int) -> str:
    return str(number) if number == planned else f"{number} of {planned}"
