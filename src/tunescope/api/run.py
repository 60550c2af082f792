"""`run` as a function: checks, plans, runs what is missing, and reports what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tunescope.analysis.collect import ResultRow, collect
from tunescope.analysis.optuna_storage import write_optuna_storage
from tunescope.api.executors import check_asked, executor_name, make_executor
from tunescope.api.report import write_opened
from tunescope.api.stored import DEFAULT_STORE, Opened, plan_of, store_if_any
from tunescope.errors import StoreError, TunescopeError
from tunescope.execution.events import Event, OnEvent
from tunescope.execution.live.board import LiveBoard
from tunescope.execution.runner import Summary, run_plan
from tunescope.hub.source import Source
from tunescope.preflight.whole import check_whole
from tunescope.steps.device import chosen_device
from tunescope.steps.inputs import forget_inputs
from tunescope.store import Store
from tunescope.store.remote.storage import RemoteStore, is_url
from tunescope.store.remote.working_copy import working_copy
from tunescope.study.fitting import fit_to_memory
from tunescope.study.job import Job
from tunescope.study.known import architectures, expected_device, known_of, source_for
from tunescope.study.load import load_study, study_text_as_run
from tunescope.study.own_files import with_own_rows
from tunescope.study.plan import Plan
from tunescope.study.priority import by_priority
from tunescope.study.shards import Shard, nominal_predictions, shard_jobs, with_what_they_need
from tunescope.trackers.live import PATIENCE_S, LiveExport

_HURRIED_S = 5.0
"""What trackers may take for the rest once someone asked the run to stop; `tunescope export` tells what is left."""


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """What `run` did, and all that the store now knows of the study."""

    plan: Plan
    summary: Summary
    rows: tuple[ResultRow, ...]
    store: Path | str
    folder: Path
    """The study's in the store, which `report`, `status` and `results` take; of object storage in this machine's copy."""
    report: Path | None
    """Its `index.html`; None where the run was interrupted, or it could not be written."""
    report_problem: str
    """Why it could not be written."""
    shard: Shard | None = None
    warnings: tuple[str, ...] = ()
    """What went wrong beside the jobs: a tracker that was not told."""

    @property
    def exit_code(self) -> int:
        """The runner's, and 1 where the report could not be written."""
        return self.summary.exit_code or (1 if self.report_problem else 0)


def run_study(
    study: Path,
    *,
    store: Path | str = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    executor: str | None = None,
    workers: int | None = None,
    address: str | None = None,
    shard: str | None = None,
    on_event: OnEvent = lambda event: None,
) -> StudyRun:
    """Checks, plans, runs what is missing and reports; called again, it goes on from what is whole.

    Args:
        study: The study's YAML file.
        store: Where results are kept: a folder, or the URL of object storage (with the executor "ray").
        mirror: A folder that stands in for the hub.
        changes: As given to `--set`.
        executor: "local" (worker processes, the default), "inline" (in this process) or "ray"; where None, the environment
            variable TUNESCOPE_EXECUTOR may name another.
        workers: Jobs at once; by default one per GPU, else one.
        address: Of the Ray cluster.
        shard: "I/N": this machine's share of the jobs alone.
        on_event: Told what happens, in this thread.

    Raises:
        TunescopeError: If study, data, models or store are not what they must be; nothing has been written then.
    """
    name, part = executor_name(executor), None if shard is None else Shard.parse(shard)
    check_asked(name, num_workers=workers, address=address)
    spec = load_study(study, changes)
    source = source_for(study, mirror)
    plan = plan_of(spec, source)
    forget_inputs()
    text = study_text_as_run(study, changes)
    with ExitStack() as held:
        there, remote = _there(store, name, held)
        if there is not None:
            held.enter_context(there.lock())  # whoever else holds it is told at once, not after all data was read
        own = plan.jobs if part is None else shard_jobs(plan, part, nominal_predictions(plan, source))
        is_work_left = _check(plan, own, there, source, name)
        kept = there if there is not None else Store.open(Path(store), create=True)
        if there is None:
            held.enter_context(kept.lock())
        if is_work_left:
            counted = replace(plan, study=with_own_rows(spec, source))
            plan = replace(fit_to_memory(counted, architectures(spec, source), expected_device(spec)), study=spec)
        kept.studies.save(spec.name, text, [_job_line(job) for job in plan.jobs], known_of(spec, source).model_dump())
        if remote is not None:
            remote.push_study(kept, spec.name)  # who looks from another machine finds the study before it has ended
        place = make_executor(
            name if is_work_left else "inline",
            kept,
            spec,
            source,
            num_workers=workers if is_work_left else None,
            address=address if is_work_left else None,
            remote=remote,
            part=part,
        )
        jobs = _in_order(plan, own, num_workers=place.num_workers)
        told = held.enter_context(LiveExport(plan, kept, spec.trackers)) if is_work_left else None
        with LiveBoard(kept, jobs, study=spec.name, executor=name, num_workers=place.num_workers, shard=shard) as board:
            summary = run_plan(jobs, kept, place, _both(board.on_event, on_event))
        board.keep_history(summary)
        warnings = _storage_problems(plan, kept)
        opened = Opened(plan=plan, store=kept, text=text)
        report, problem = (None, "") if summary.interrupted else _reported(opened)  # whoever stops it wants it to end
        if told is not None:
            warnings += told.finish(_HURRIED_S if summary.interrupted else PATIENCE_S)[1]
    return StudyRun(
        plan=plan,
        summary=summary,
        rows=tuple(collect(plan, kept)),
        store=store,
        folder=kept.studies.folder(spec.name),
        report=report,
        report_problem=problem,
        shard=part,
        warnings=tuple(warnings),
    )


def _there(store: Path | str, executor: str, held: ExitStack) -> tuple[Store | None, RemoteStore | None]:
    """The store that is there, if any; of one on object storage this machine's copy, held, and the storage."""
    if not is_url(str(store)):
        return store_if_any(Path(store)), None
    if executor != "ray":
        raise TunescopeError(
            f"--store {store}: object storage is for --executor ray, whose workers send there what they make. Name a folder, "
            "or add --executor ray."
        )
    return held.enter_context(working_copy(str(store), create=True))


def _check(plan: Plan, own: Sequence[Job], there: Store | None, source: Source, executor: str) -> bool:
    """Whether any of this machine's jobs is left to do. What is there must be whole, and data and models what they were."""
    if there is not None:
        check_whole(plan, there)
    is_work_left = there is None or any(
        there.artifact(job.kind, job.id) is None for job in own if not job.config.is_for_others
    )
    if is_work_left:
        from tunescope.preflight.inputs import check_inputs

        check_inputs(plan, source)
        if executor != "ray":
            chosen_device(
                plan.study.compute.device
            )  # a GPU that is asked for and not there is told before anything is written
    if there is not None:
        from tunescope.preflight.unchanged import check_unchanged

        check_unchanged(plan, there, source)
    return is_work_left


def _in_order(plan: Plan, own: Sequence[Job], *, num_workers: int) -> Sequence[Job]:
    """This machine's jobs, as the plan now holds them; several workers take first what most work waits for."""
    ids = {job.id for job in own}
    mine = with_what_they_need(plan, [job for job in plan.jobs if job.id in ids])
    return by_priority(mine) if num_workers > 1 else mine


def _both(first: Callable[[Event], None], second: Callable[[Event], None]) -> OnEvent:
    def on_event(event: Event) -> None:
        first(event)
        second(event)

    return on_event


def _storage_problems(plan: Plan, store: Store) -> list[str]:
    """Writes the sweeps for Optuna's own tools; why it could not, where it could not: they are drawn from artifacts anyway."""
    try:
        write_optuna_storage(plan, store, store.studies.folder(plan.study.name))
    except StoreError as error:
        return [str(error)]
    return []


def _reported(opened: Opened) -> tuple[Path | None, str]:
    """The report's page, or why there is none: what has run is told all the same."""
    try:
        return write_opened(opened), ""
    except TunescopeError as error:
        return None, str(error)


def _job_line(job: Job) -> dict[str, object]:
    return {
        "kind": job.kind,
        "id": job.id,
        "label": job.label,
        "about": dict(job.about),
        "inputs": {role: needed.id for role, needed in job.inputs.items()},
    }
