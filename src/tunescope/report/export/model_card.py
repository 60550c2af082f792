"""A model card for a saved run, as the Hugging Face hub reads it: data, scores, settings in force, drift, how it was made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from tunescope.analysis.collect import ResultRow
from tunescope.analysis.findings import Findings
from tunescope.models.saving import ADAPTER, HEAD, MODEL, PACKED
from tunescope.report.content import numbers
from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.report.export.markdown import fenced, markdown_table, plain
from tunescope.store import Record, Store
from tunescope.study.labels import short_name
from tunescope.study.plan import RunCell
from tunescope.tasks.spec import Classification, TaskSpec

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_TASKS = {
    "classification": "text-classification",
    "regression": "text-classification",
    "question_answering": "question-answering",
}
"""Kind of a task -> what the hub files its models under; of texts with a number it has no kind of its own."""
_HUB_METRICS = {
    "macro_f1": "f1",
    "matthews": "matthews_correlation",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
    "squad_exact": "exact_match",
    "squad_f1": "f1",
}
"""Score -> the hub's name for it, where that differs."""


def saved_as(record: Record) -> Literal["adapter", "model", "packed", "head"] | None:
    """What of its weights a training left in its folder; None where it left none."""
    kept = {PurePosixPath(name).parts[0] for name in record.files}
    if ADAPTER in kept:
        return "adapter"
    if MODEL in kept:
        return "model"
    return "packed" if PACKED in kept else "head" if HEAD in kept else None


def model_card(run: RunCell, findings: Findings, store: Store) -> str:
    """The README.md that goes beside the weights of one run.

    Args:
        run: A run of the plan whose training is done and left weights (see `saved_as`).
        findings: Of the study, for the scores, drift and retention of the run and the mean over its seeds.
        store: Holds the run's record.

    Raises:
        StoreError: If the training is not there or not whole.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tunescope.report.export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML: what is the user's goes through `plain` or `fenced`
    )
    environment.filters |= {"plain": plain, "fenced": fenced, "table": markdown_table}
    record = store.record(run.train.kind, run.train.id)
    told = _Told(run=run, record=record, findings=findings)
    page: str = environment.get_template("model_card.md.j2").render(
        front_matter=_front_matter(told),
        title=f"{short_name(run.base_model)}, {run.method} on {run.task.name}, seed {run.seed}",
        run=run,
        record=record,
        base=next(model for model in findings.plan.study.base_models if model.name == run.base_model),
        base_name=_public_name(run.base_model),
        is_on_hub=_is_hub_id(run.base_model),
        kept=saved_as(record),
        study=findings.plan.study,
        parameters=record.facts["parameters"],
        counts=record.facts["num_examples"],
        flags=record.facts["flags"],
        source=_source(run.task),
        num_labels=len(run.task.labels) if isinstance(run.task, Classification) else 1,
        scores=_scores(told),
        drift=_drift(told),
        retention=_retention(told),
        settings=_settings(told),
        dirty={True: ", with changes that are in no commit", False: "", None: ""}[record.dirty],
    )
    return page


@dataclass(frozen=True, kw_only=True)
class _Told:
    """A run and all that is known of it."""

    run: RunCell
    record: Record
    findings: Findings

    @property
    def rows(self) -> list[ResultRow]:
        return [row for row in self.findings.rows if row.kind == "run" and row.train_job == self.run.train.id]


def _front_matter(told: _Told) -> str:
    """The metadata that the hub reads, as YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    run, task = told.run, told.run.task
    is_adapter = saved_as(told.record) == "adapter"
    hub = task.dataset.hub
    scored = [row for row in told.rows if row.value is not None]
    results = [
        EvalResult(
            task_type=_HUB_TASKS[task.kind],
            dataset_type=hub or task.name,
            dataset_name=task.name,
            dataset_config=task.dataset.config,
            dataset_split=row.split,
            dataset_revision=task.dataset.revision,
            metric_type=_HUB_METRICS.get(row.metric, row.metric),
            metric_name=row.metric,
            metric_value=row.value,
        )
        for row in scored
    ]
    more: dict[str, Any] = {}
    if _is_hub_id(run.base_model):
        more = {"base_model": run.base_model, "base_model_relation": "adapter" if is_adapter else "finetune"}
    data = ModelCardData(
        **more,
        datasets=[hub] if hub else None,
        metrics=list(dict.fromkeys(_HUB_METRICS.get(row.metric, row.metric) for row in scored)) or None,
        library_name="peft" if is_adapter else "transformers",
        pipeline_tag=_HUB_TASKS[task.kind],
        model_name=run.train.label if results else None,
        eval_results=results or None,
        tags=["tunescope", run.method],
    )
    yaml: str = data.to_yaml()
    return yaml.strip()


def _scores(told: _Told) -> Table | None:
    """This run's scores beside its method's mean over seeds."""
    run = told.run
    means = {
        one.metric: one
        for one in told.findings.quality
        if (one.base_model, one.task, one.method) == (run.base_model, run.task.name, run.method)
    }
    rows = []
    for row in told.rows:
        estimate = means[row.metric].estimate
        mean = "" if estimate.value is None else numbers.value_of(estimate.value, row.metric)
        interval = numbers.value_interval(estimate.ci_low, estimate.ci_high, row.metric)
        cells = (
            text(numbers.axis_label(row.metric)),
            numbers.score_cell(row.value, row.metric) if row.value is not None else text(row.reason or row.state),
            Cell(shown=f"{mean} {interval}".strip() or numbers.NOTHING, value=estimate.value),
            numbers.number(means[row.metric].num_seeds),
        )
        rows.append(Row(cells=cells))
    level = {one.estimate.level for one in means.values()}
    methods = dict.fromkeys(
        one.estimate.method.split(", df")[0] for one in means.values() if one.estimate.ci_low is not None
    )
    shown = f", {100 * max(level):g}% interval" if methods else ""
    return Table(
        id="scores",
        caption=f"Scores on {run.task.report_split}, which no choice was made on",
        columns=(
            Column(name="score", is_key=True),
            Column(name="this run", kind="number"),
            Column(name=f"mean over seeds{shown}", kind="number"),
            Column(name="seeds", kind="number"),
        ),
        rows=tuple(rows),
        note=f"Intervals: {'; '.join(methods)}." if methods else "",
    )


def _drift(told: _Told) -> list[str]:
    """How far the run's states moved from the base model's, a sentence per measured drift."""
    return [
        f"One minus the debiased linear CKA with the base model, averaged over the blocks: {numbers.drift(row.drift)} "
        f"({numbers.plural(row.num_examples or 0, 'example')} of {row.task}; 0 is unchanged)."
        for row in told.findings.drift
        if row.drift is not None
        and row.compared == "tuned"
        and (row.base_model, row.task, row.method, row.seed)
        == (told.run.base_model, told.run.task.name, told.run.method, told.run.seed)
    ]


def _retention(told: _Told) -> Table | None:
    """What the backbone still makes of plain text, beside its base model."""
    rows = [
        Row(
            cells=(
                text(row.text),
                numbers.number(row.base_perplexity),
                numbers.number(row.tuned_perplexity),
                numbers.number(row.kl),
            )
        )
        for row in told.findings.retention
        if row.tuned_perplexity is not None
        and (row.base_model, row.task, row.method, row.seed)
        == (told.run.base_model, told.run.task.name, told.run.method, told.run.seed)
    ]
    if not rows:
        return None
    return Table(
        id="retention",
        caption="Plain text under the tuned backbone and the base model's own language head",
        columns=(
            Column(name="text", is_key=True),
            Column(name="perplexity before", kind="number"),
            Column(name="perplexity after", kind="number"),
            Column(name="KL, nats per token", kind="number"),
        ),
        rows=tuple(rows),
    )


def _settings(told: _Told) -> Table:
    """The settings in force, as read back from optimiser, schedule and model."""
    run = told.run
    found = next(
        one
        for one in told.findings.settings
        if (one.base_model, one.task, one.method) == (run.base_model, run.task.name, run.method)
    )
    values = {setting.name: dict(setting.by_seed).get(run.seed, setting.value) for setting in found.settings}
    return Table(
        id="settings",
        caption="Settings in force, read back while it trained",
        columns=(Column(name="setting", is_key=True), Column(name="value")),
        rows=tuple(Row(cells=(text(name), text(value))) for name, value in values.items()),
    )


def _is_hub_id(name: str) -> bool:
    return _HUB_ID.fullmatch(name) is not None


def _public_name(base_model: str) -> str:
    """A hub id as it is, of a folder its own name alone: where it lies on this machine is nobody's business."""
    return base_model if _is_hub_id(base_model) else short_name(base_model)


def _source(task: TaskSpec) -> str:
    data = task.dataset
    if data.hub is None:
        return "own files"
    parts = [data.hub, *([f"configuration {data.config}"] if data.config else [])]
    return ", ".join([*parts, f"revision {data.revision}" if data.revision else "revision not pinned"])
