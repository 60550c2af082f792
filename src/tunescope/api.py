"""Each command as a function: what `tunescope run` and its siblings do, for scripts and notebooks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunescope.analysis.collect import ResultRow, State, as_table, collect, collect_trials, state_of
from tunescope.errors import StoreError
from tunescope.execution.events import OnEvent
from tunescope.execution.executor import Executor
from tunescope.execution.runner import Summary, run_plan
from tunescope.hub.source import Source
from tunescope.steps.inputs import forget_inputs
from tunescope.store import Store
from tunescope.study.estimate import estimate
from tunescope.study.job import Job
from tunescope.study.known import architectures, decoders, expected_device, source_for
from tunescope.study.load import load_study, read_study_text
from tunescope.study.placement import Placement, place
from tunescope.study.plan import Plan, make_plan
from tunescope.study.spec import StudySpec

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_STORE = Path("tunescope-store")


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """What `run` did, and all that the store now knows of the study."""

    plan: Plan
    summary: Summary
    rows: tuple[ResultRow, ...]
    store: Path


@dataclass(frozen=True, kw_only=True)
class JobState:
    """One job of a plan as the store knows it."""

    job: Job
    state: State
    reason: str
    log: Path


@dataclass(frozen=True, kw_only=True)
class StudyStatus:
    """Where a study stands."""

    plan: Plan
    jobs: tuple[JobState, ...]
    store: Path

    @property
    def counts(self) -> Counter[State]:
        return Counter(job.state for job in self.jobs)


def plan_study(
    study: Path, *, mirror: Path | None = None, changes: Sequence[str] = (), workers: int = 1
) -> tuple[Plan, Placement]:
    """The jobs of a study with predicted time, memory and disk, and who would run what. Reads no weights and no data.

    Raises:
        TunescopeError: If the study is wrong, or a pin names a worker that is not there.
    """
    spec = load_study(study, changes)
    plan = _estimated(spec, source_for(study, mirror))
    return plan, place(plan, workers)


def run_study(
    study: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    on_event: OnEvent = lambda event: None,
) -> StudyRun:
    """Checks, plans, runs what is missing and collects; called again, it goes on from what is whole.

    Raises:
        TunescopeError: If study, data, models or store are not what they must be; nothing has been written then.
    """
    spec = load_study(study, changes)
    source = source_for(study, mirror)
    plan = _plan(spec, source)
    forget_inputs()
    there = _store_if_any(store)
    is_work_left = there is None or any(there.artifact(job.kind, job.id) is None for job in plan.jobs)
    if is_work_left:
        from tunescope.preflight.inputs import check_inputs

        check_inputs(plan, source)
    if there is not None:
        from tunescope.preflight.unchanged import check_unchanged

        check_unchanged(plan, there, source)
    kept = there if there is not None else Store.open(store, create=True)
    with kept.lock():
        kept.save_study(spec.name, read_study_text(study), [_job_line(job) for job in plan.jobs])
        summary = run_plan(plan.jobs, kept, _executor(kept, spec, source, is_work_left=is_work_left), on_event)
    return StudyRun(plan=plan, summary=summary, rows=tuple(collect(plan, kept)), store=store)


def study_status(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> StudyStatus:
    """What of a study is done, failed or left.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    plan, kept = _stored(study, store, mirror, changes)
    jobs = []
    for job in plan.jobs:
        state, reason = state_of(job, kept)
        jobs.append(JobState(job=job, state=state, reason=reason, log=kept.log_file(job.kind, job.id)))
    return StudyStatus(plan=plan, jobs=tuple(jobs), store=store)


def study_results(
    study: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    trials: bool = False,
) -> list[ResultRow]:
    """The tidy table of a study: a row per run or baseline and score; with `trials`, those of its sweeps instead.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    plan, kept = _stored(study, store, mirror, changes)
    return collect_trials(plan, kept) if trials else collect(plan, kept)


def load_results(
    study: Path | str, store: Path | str = DEFAULT_STORE, mirror: Path | str | None = None
) -> pd.DataFrame:
    """`study_results` as a pandas DataFrame."""
    rows = study_results(Path(study), store=Path(store), mirror=None if mirror is None else Path(mirror))
    frame: pd.DataFrame = as_table(rows).to_pandas()
    return frame


def forget(prefix: str, *, store: Path = DEFAULT_STORE) -> list[str]:
    """Deletes the one artifact whose id starts with `prefix`, so that the next run makes it anew."""
    return Store.open(store, create=False).forget(prefix)


def _plan(spec: StudySpec, source: Source) -> Plan:
    files = {file for task in spec.tasks for file in (task.dataset.files or {}).values()}
    return make_plan(spec, decoders(spec, source), {file: source.file_sha256(file) for file in files})


def _estimated(spec: StudySpec, source: Source) -> Plan:
    return estimate(_plan(spec, source), architectures(spec, source), expected_device(spec))


def _stored(study: Path, store: Path, mirror: Path | None, changes: Sequence[str]) -> tuple[Plan, Store]:
    spec = load_study(study, changes)
    if not store.exists():
        raise StoreError(
            f"no store at {store}: nothing has run yet. `tunescope run {study} --store {store}` makes one."
        )
    return _plan(spec, source_for(study, mirror)), Store.open(store, create=False)


def _store_if_any(path: Path) -> Store | None:
    """The store there is; None where a run would make one: where nothing is, or an empty folder."""
    is_empty = path.is_dir() and os.access(path, os.R_OK) and not any(path.iterdir())
    return None if is_empty or not path.exists() else Store.open(path, create=False)


def _executor(store: Store, spec: StudySpec, source: Source, *, is_work_left: bool) -> Executor:
    from tunescope.execution.inline import InlineExecutor
    from tunescope.steps import STEPS
    from tunescope.steps.context import StepContext
    from tunescope.steps.device import chosen_device, chosen_threads

    context = StepContext(
        source=source,
        compute=spec.compute,
        device=chosen_device(spec.compute.device) if is_work_left else "cpu",  # looking for a GPU loads torch
        num_threads=chosen_threads(spec.compute.num_threads),
        report=lambda progress: None,
    )
    return InlineExecutor(store, STEPS, context)


def _job_line(job: Job) -> dict[str, object]:
    return {
        "kind": job.kind,
        "id": job.id,
        "label": job.label,
        "about": dict(job.about),
        "inputs": {role: needed.id for role, needed in job.inputs.items()},
    }
