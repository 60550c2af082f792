"""A plan and a store -> where the numbers come from: jobs, versions, machines, bytes, and the commands that make them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tunescope.analysis.collect import State, state_of
from tunescope.store import Record, Store
from tunescope.store.layout import STORE_FORMAT
from tunescope.store.record import RECORD_FILE
from tunescope.study.job import Job
from tunescope.study.plan import Plan
from tunescope.study.wanted import unwanted


@dataclass(frozen=True, kw_only=True)
class JobLine:
    """One job of the plan as the store knows it."""

    id: str
    kind: str
    label: str
    base_model: str | None
    task: str | None
    method: str | None
    seed: int | None
    state: State
    reason: str
    """Why it is not done; empty where it is."""
    error: str
    """Of a failed job, the class of its error."""
    flags: tuple[str, ...]
    """What the job itself found odd."""
    is_wanted: bool
    """Whether `run` would do it, were it not done: a trial is not wanted once its sweep has gone on without it."""
    seconds: float | None
    peak_memory_gib: float | None
    started_at: datetime | None
    record: str
    """Path of its record in the store, `artifacts/<kind>/<id>/record.json`; empty where it is not done."""
    log: str
    """Path of its log in the store; empty where there is none."""
    inputs: tuple[tuple[str, str], ...]
    """Role -> id of the job that plays it."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One combination of code and machine that jobs ran on."""

    hostname: str
    system: str
    processor: str
    num_cores: int
    memory_gib: float
    gpus: tuple[str, ...] | None
    """None where the driver did not answer."""
    python: str
    commit: str | None
    """Git commit of the tunescope checkout; None where it was none."""
    is_dirty: bool | None
    """Whether its sources differed from the commit."""
    versions: tuple[tuple[str, str], ...]
    """Library -> version."""
    num_jobs: int
    first: datetime
    """Start of the first job that ran there."""
    last: datetime
    """End of the last."""


@dataclass(frozen=True, kw_only=True)
class ModelRead:
    """A base model and the bytes that were read of it."""

    name: str
    revision: str | None
    """As the study pins it."""
    fingerprints: tuple[str, ...]
    """SHA-256 over its weights, as the jobs recorded it; more than one where jobs read different bytes."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a study's numbers come from."""

    study: str
    study_text: str
    """The study as it was last run; empty where it was never run into this store."""
    store_format: int
    num_done: int
    """Jobs, as are those below: work that two labels share counts once, as it does in the ledger."""
    num_failed: int
    num_missing: int
    """Those that are wanted and not done yet."""
    first: datetime | None
    """Start of the first job that is done."""
    last: datetime | None
    """End of the last."""
    environments: tuple[Environment, ...]
    """Most jobs first."""
    models: tuple[ModelRead, ...]
    commands: tuple[str, ...]
    """Lines to type that make the numbers again from the study's text."""


def collect_jobs(plan: Plan, store: Store) -> list[JobLine]:
    """Every job of a plan as the store knows it, in the plan's order; work that two labels share has a line for each."""
    states = {job.id: state_of(job, store) for job in plan.jobs}
    whole = {id_ for id_, (state, _) in states.items() if state == "done"}
    left_out = {job.id for job in unwanted(plan.jobs, whole)}
    return [_line(job, *states[job.id], job.id not in left_out, store) for job in plan.jobs]


def collect_provenance(plan: Plan, store: Store, jobs: Sequence[JobLine]) -> Provenance:
    """Where a study's numbers come from.

    Args:
        plan: Of the study.
        store: That it ran into.
        jobs: As `collect_jobs` gives them.
    """
    once = {line.id: line for line in jobs}.values()  # work that two labels share was done once
    records = [store.record(line.kind, line.id) for line in once if line.state == "done"]
    environments = _environments(records)
    file = store.studies.file(plan.study.name)
    return Provenance(
        study=plan.study.name,
        study_text=file.read_text(encoding="utf-8") if file.is_file() else "",
        store_format=STORE_FORMAT,
        num_done=len(records),
        num_failed=sum(line.state == "failed" and line.is_wanted for line in once),
        num_missing=sum(line.state == "missing" and line.is_wanted for line in once),
        first=min((record.started_at for record in records), default=None),
        last=max((_ended(record) for record in records), default=None),
        environments=environments,
        models=tuple(_models(plan, records)),
        commands=tuple(_commands(plan, environments)),
    )


def _line(job: Job, state: State, reason: str, is_wanted: bool, store: Store) -> JobLine:
    record = store.record(job.kind, job.id) if state == "done" else None
    failure = None if record is not None else store.failure(job.kind, job.id)
    log = store.log_file(job.kind, job.id)
    seconds = failure.duration_s if failure is not None else None
    return JobLine(
        id=job.id,
        kind=job.kind,
        label=job.label,
        base_model=_text(job.about.get("base_model")),
        task=_text(job.about.get("task")),
        method=_text(job.about.get("method")),
        seed=None if "seed" not in job.about else int(job.about["seed"]),
        state=state,
        reason=reason,
        error="" if failure is None else failure.error,
        flags=() if record is None else _strings(record.facts.get("flags")),
        is_wanted=is_wanted,
        seconds=record.duration_s if record is not None else seconds,
        peak_memory_gib=None if record is None else record.peak_memory_gib,
        started_at=None if record is None else record.started_at,
        record="" if record is None else f"artifacts/{job.kind}/{job.id}/{RECORD_FILE}",
        log=log.relative_to(store.path).as_posix() if log.is_file() else "",
        inputs=tuple((role, needed.id) for role, needed in job.inputs.items()),
    )


def _environments(records: Sequence[Record]) -> tuple[Environment, ...]:
    """The code and machines that jobs ran on, most jobs first."""
    groups: dict[tuple[str, str, str | None, bool | None, tuple[tuple[str, str], ...]], list[Record]] = {}
    for record in records:
        versions = tuple(record.versions.items())
        key = (record.machine.model_dump_json(), record.python, record.commit, record.dirty, versions)
        groups.setdefault(key, []).append(record)
    found = [
        Environment(
            hostname=own[0].machine.hostname,
            system=own[0].machine.system,
            processor=own[0].machine.processor,
            num_cores=own[0].machine.num_cores,
            memory_gib=own[0].machine.memory_gib,
            gpus=None if own[0].machine.gpus is None else tuple(own[0].machine.gpus),
            python=python,
            commit=commit,
            is_dirty=dirty,
            versions=versions,
            num_jobs=len(own),
            first=min(record.started_at for record in own),
            last=max(_ended(record) for record in own),
        )
        for (_, python, commit, dirty, versions), own in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.num_jobs, one.first)))


def _models(plan: Plan, records: Sequence[Record]) -> Iterator[ModelRead]:
    """The base models, each with the fingerprints that jobs on it recorded."""
    by_id = {record.id: record for record in records}
    for model in plan.study.base_models:
        found: dict[str, None] = {}
        for job in plan.jobs:
            if job.about.get("base_model") == model.name and job.id in by_id:
                facts: dict[str, Any] = dict(by_id[job.id].facts)
                if "model_fingerprint" in facts:
                    found[str(facts["model_fingerprint"])] = None
        yield ModelRead(name=model.name, revision=model.revision, fingerprints=tuple(found))


def _commands(plan: Plan, environments: Sequence[Environment]) -> Iterator[str]:
    """What to type, in order: the versions that most jobs ran with, then the study."""
    if environments:
        first = environments[0]
        versions = dict(first.versions)
        own = versions.pop("tunescope", None)
        if first.commit is not None:
            yield f"git checkout {first.commit}  # in a clone of tunescope" + (
                "; its sources had been changed when these jobs ran" if first.is_dirty else ""
            )
            yield "pip install ."
        elif own is not None:
            yield f"pip install tunescope=={own}"
        pinned = " ".join(f"{name}=={version.partition('+')[0]}" for name, version in versions.items())
        yield f"pip install {pinned}"
    yield f"tunescope run {plan.study.name}.yaml --store {plan.study.name}-store"
    yield f"tunescope report {plan.study.name}.yaml --store {plan.study.name}-store"


def _ended(record: Record) -> datetime:
    return record.started_at + timedelta(seconds=record.duration_s)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
