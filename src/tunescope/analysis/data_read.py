"""A plan and a store -> what data the study read: where from, how much, how balanced, what was cut off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunescope.analysis.collect import state_of
from tunescope.store import Store
from tunescope.study.job import Job
from tunescope.study.plan import Plan, RunCell
from tunescope.tasks.spec import TaskSpec


@dataclass(frozen=True, kw_only=True)
class PartRead:
    """One part of a task's rows."""

    part: Literal["train", "selection", "report"]
    split: str
    """The data set's split that it comes from."""
    num_examples: int | None
    """None where no job that read it is done."""
    label_balance: dict[str, int]
    """Label (of questions: answerable, unanswerable) -> examples; empty for numbers and where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Truncated:
    """What a base model's tokenizer and the task's max_length left out of one part."""

    base_model: str
    part: Literal["train", "selection", "report"]
    num_examples: int
    num_truncated: int
    share_truncated: float
    """num_truncated / num_examples."""
    num_tokens_lost: int
    job: str


@dataclass(frozen=True, kw_only=True)
class TaskRead:
    """One task's data."""

    task: str
    kind: str
    """classification, regression or question_answering."""
    description: str
    source: str
    """Hub id, or the files as the study names them, joined by ', '."""
    config: str | None
    """The hub data set's configuration."""
    revision: str | None
    license: str
    max_length: int
    """Tokens."""
    metrics: tuple[str, ...]
    parts: tuple[PartRead, ...]
    """train, selection, report."""
    truncated: tuple[Truncated, ...]
    train_fingerprint: str
    """SHA-256 of the train split's rows as they were read; empty where no job that read them is done."""
    report_fingerprint: str
    num_seen_before: int | None
    """Report examples whose texts all occur in one train or selection example too; None where it is not known."""
    share_seen_before: float | None
    """num_seen_before / report examples."""
    selection_kin: dict[str, int]
    """Of the selection rows: num_rows, and how many are like a train row: num_equal (up to case and punctuation), num_sharing
    (a text of several), num_inside (inside a longer one); each counts once. Empty where it is not known."""
    job: str
    """Id of the `examples` job; empty where the plan has none."""
    reason: str
    """Why something is not known; empty where all is."""


_PARTS: tuple[Literal["train", "selection", "report"], ...] = ("train", "selection", "report")


def collect_data(plan: Plan, store: Store) -> list[TaskRead]:
    """Every task of the study, in its order; what no finished job has told of is left unknown, with the reason."""
    return [_task(plan, task, store) for task in plan.study.tasks]


def _task(plan: Plan, task: TaskSpec, store: Store) -> TaskRead:
    runs = [run for run in plan.runs if run.task.name == task.name]
    job = plan.examples.get(task.name)
    told, reason = ({}, "the plan has no job that describes the data") if job is None else _facts_or_reason(job, store)
    trained, scored = (
        _first_facts([run.train for run in runs], store),
        _first_facts([run.evaluate for run in runs], store),
    )
    counts: dict[str, int] = told.get("num_examples") or (
        dict(trained.get("num_examples", {})) | ({"report": scored["num_examples"]} if scored else {})
    )
    balance: dict[str, dict[str, int]] = told.get("label_balance", {})
    seen = told.get("num_seen_before")
    files = task.dataset.files
    return TaskRead(
        task=task.name,
        kind=task.kind,
        description=task.description,
        source=task.dataset.hub or ", ".join((files or {}).values()),
        config=task.dataset.config,
        revision=task.dataset.revision,
        license=task.license,
        max_length=task.max_length,
        metrics=task.metrics,
        parts=tuple(
            PartRead(
                part=part,
                split=task.report_split if part == "report" else task.train_split,
                num_examples=counts.get(part),
                label_balance=balance.get(part, {}),
            )
            for part in _PARTS
        ),
        truncated=tuple(_truncated(runs, store)),
        train_fingerprint=str(told.get("train_fingerprint") or trained.get("data_fingerprint", "")),
        report_fingerprint=str(told.get("data_fingerprint") or scored.get("data_fingerprint", "")),
        num_seen_before=seen,
        share_seen_before=None if seen is None else seen / counts["report"],
        selection_kin=dict(told.get("selection_kin", {})),
        job="" if job is None else job.id,
        reason=reason,
    )


def _truncated(runs: Sequence[RunCell], store: Store) -> Iterator[Truncated]:
    """Of each base model, by the first of its runs that tells: all of its runs read the same tokens."""
    for base_model in dict.fromkeys(run.base_model for run in runs):
        own = [run for run in runs if run.base_model == base_model]
        found: dict[str, tuple[dict[str, int], Job]] = {}
        for run in own:
            if state_of(run.train, store)[0] == "done":
                for part, lost in _facts(run.train, store)["truncation"].items():
                    found.setdefault(part, (lost, run.train))
            if state_of(run.evaluate, store)[0] == "done":
                found.setdefault("report", (_facts(run.evaluate, store)["truncation"], run.evaluate))
        for part in _PARTS:
            if part in found:
                lost, job = found[part]
                yield Truncated(
                    base_model=base_model,
                    part=part,
                    num_examples=lost["num_examples"],
                    num_truncated=lost["num_truncated"],
                    share_truncated=lost["num_truncated"] / lost["num_examples"],
                    num_tokens_lost=lost["num_tokens_lost"],
                    job=job.id,
                )


def _facts_or_reason(job: Job, store: Store) -> tuple[dict[str, Any], str]:
    state, reason = state_of(job, store)
    return (_facts(job, store), "") if state == "done" else ({}, reason)


def _first_facts(jobs: Sequence[Job], store: Store) -> dict[str, Any]:
    """Of the first of these jobs that is done; none where none is."""
    return next((_facts(job, store) for job in jobs if state_of(job, store)[0] == "done"), {})


def _facts(job: Job, store: Store) -> dict[str, Any]:
    return dict(store.record(job.kind, job.id).facts)
