"""`status` as a function: where a study stands, what runs now, and what went wrong; from the store alone, and changing nothing."""

from __future__ import annotations

import os
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunescope.analysis.collect import state_of
from tunescope.api.stored import DEFAULT_STORE, open_study
from tunescope.errors import StoreError
from tunescope.execution.policy import next_try
from tunescope.store import Failure, Store
from tunescope.store.layout import Layout
from tunescope.store.live import LiveJob, LiveWorker, Seen, look
from tunescope.study.job import Job
from tunescope.study.plan import Plan
from tunescope.study.wanted import unwanted

JobStatus = Literal["done", "running", "failed", "missing"]

_USED_FOR_S = 60.0
"""How long a store's size counts as known: adding it up reads the name of every file."""


@dataclass(frozen=True, kw_only=True)
class JobState:
    """One job of a plan as the store, and the run under way, know it."""

    job: Job
    state: JobStatus
    """A job that failed in an earlier run and is tried again now is running."""
    reason: str
    log: Path
    is_wanted: bool
    """Whether `run` would do it, were it not done: a trial is not wanted once its sweep has gone on without it."""
    failure: Failure | None = None
    """Of a failed job, unless it failed for its artifact not being whole."""
    waiting: tuple[str, ...] = ()
    """Of a failed job, the labels of those that cannot run without it."""

    @property
    def log_command(self) -> str:
        """What shows the end of its log, for a shell in the folder that `status` was called in."""
        return f"tail -n 50 {shlex.quote(str(self.log))}"


@dataclass(frozen=True, kw_only=True)
class StudyStatus:
    """Where a study stands."""

    plan: Plan
    jobs: tuple[JobState, ...]
    store: Path
    seen: Seen | None
    """The run under way or the last one; None where none ever told of itself. It may be of another study of the store."""
    live_problem: str
    """Why `seen` cannot be read, if so."""
    used_gib: float
    """By the files of the store."""
    free_gib: float
    """On its disk."""

    @property
    def counts(self) -> Counter[JobStatus]:
        """Jobs by state, without those that nothing waits for any more."""
        return Counter(job.state for job in self.jobs if job.state == "done" or job.is_wanted)

    @property
    def is_running(self) -> bool:
        """Whether a run of this study is under way, as far as can be told."""
        return self.seen is not None and self.seen.is_running and self.seen.live.study == self.plan.study.name


def study_status(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> StudyStatus:
    """What of a study is done, running, failed or left. May wait some seconds for a sign of life; see `store.live`.

    Args:
        study: The study's YAML file, its store, or `STORE/studies/NAME`.
        store: Where its results are, if `study` is a file.
        mirror: A folder that stands in for the hub.
        changes: As given to `--set`.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    plan, kept = opened.plan, opened.store
    problem, seen = "", None
    try:
        seen = look(Layout(root=kept.path).live)
    except StoreError as error:
        problem = str(error)
    # After the live state: what has ended since then is in the store, and counts as ended.
    running = {job.id: worker for worker, job in running_jobs(seen)}
    states = {job.id: _state(job, kept, running) for job in plan.jobs}
    whole = {id for id, (state, _) in states.items() if state == "done"}
    left_out = {job.id for job in unwanted(plan.jobs, whole)}
    jobs = [
        JobState(
            job=job,
            state=states[job.id][0],
            reason=states[job.id][1],
            log=kept.log_file(job.kind, job.id),
            is_wanted=job.id not in left_out,
            failure=_failure(job, kept) if states[job.id][0] == "failed" else None,
            waiting=_waiting(job, plan, states) if states[job.id][0] == "failed" else (),
        )
        for job in plan.jobs
    ]
    return StudyStatus(
        plan=plan,
        jobs=tuple(jobs),
        store=kept.path,
        seen=seen,
        live_problem=problem,
        used_gib=_used_gib(kept.path),
        free_gib=kept.free_gib(),
    )


def running_jobs(seen: Seen | None) -> list[tuple[LiveWorker, LiveJob]]:
    """What is under way, as far as that can be believed."""
    if seen is None or not seen.is_running:
        return []
    return [(worker, worker.job) for worker in seen.live.workers if worker.job is not None]


def _state(job: Job, store: Store, running: dict[str, LiveWorker]) -> tuple[JobStatus, str]:
    state, reason = state_of(job, store)
    if state != "done" and job.id in running:
        name = running[job.id].name
        return "running", f"on {name}" if name else "in the command itself"
    failure = _failure(job, store) if state == "failed" else None
    if failure is not None and next_try(failure, failure.attempts) is not None:
        return "missing", f"to be tried again: {failure.reason}"  # it waits for it, or the run was killed before
    return state, reason


def _failure(job: Job, store: Store) -> Failure | None:
    try:
        return store.failure(job.kind, job.id)
    except StoreError:  # torn: the job's reason says so
        return None


def _waiting(failed: Job, plan: Plan, states: dict[str, tuple[JobStatus, str]]) -> tuple[str, ...]:
    """Labels of the jobs that need a failed one, at any remove, and cannot do without it."""
    held = {failed.id}
    labels = []
    for job in plan.jobs:  # inputs before what needs them
        needs = [one for one in job.inputs.values() if one.id in held]
        if not needs or states[job.id][0] == "done":
            continue
        if any(not (one.id == failed.id and one.kind in job.config.makes_do_without) for one in needs):
            held.add(job.id)
            labels.append(job.label)
    return tuple(labels)


_used: dict[Path, tuple[float, float]] = {}
"""Store -> when it was added up, and its GiB."""


def _used_gib(store: Path) -> float:
    known = _used.get(store)
    if known is not None and time.monotonic() - known[0] < _USED_FOR_S:
        return known[1]
    total = 0
    for folder, _, names in os.walk(store):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # a run under way moves and deletes files
                continue
    _used[store] = (time.monotonic(), total / 2**30)
    return total / 2**30
