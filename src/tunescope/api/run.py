"""`run` as a function: checks, plans, runs what is missing, and reports what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunescope.analysis.collect import ResultRow, collect
from tunescope.analysis.optuna_storage import write_optuna_storage
from tunescope.api.report import write_opened
from tunescope.api.stored import DEFAULT_STORE, Opened, plan_of, store_if_any
from tunescope.errors import TunescopeError
from tunescope.execution.events import OnEvent
from tunescope.execution.inline import InlineExecutor
from tunescope.execution.runner import Summary, run_plan
from tunescope.hub.source import Source
from tunescope.preflight.whole import check_whole
from tunescope.steps import STEPS
from tunescope.steps.context import StepContext
from tunescope.steps.device import chosen_device, chosen_threads
from tunescope.steps.inputs import forget_inputs
from tunescope.store import Store
from tunescope.study.job import Job
from tunescope.study.known import known_of, source_for
from tunescope.study.load import load_study, study_text_as_run
from tunescope.study.plan import Plan
from tunescope.study.spec import StudySpec


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """What `run` did, and all that the store now knows of the study."""

    plan: Plan
    summary: Summary
    rows: tuple[ResultRow, ...]
    store: Path
    report: Path | None
    """Its `index.html`; None where it could not be written."""
    report_problem: str
    """Why there is no report; empty where there is one."""

    @property
    def exit_code(self) -> int:
        """The runner's, and 1 where the report could not be written."""
        return self.summary.exit_code or (1 if self.report_problem else 0)


def run_study(
    study: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    on_event: OnEvent = lambda event: None,
) -> StudyRun:
    """Checks, plans, runs what is missing and reports; called again, it goes on from what is whole.

    Raises:
        TunescopeError: If study, data, models or store are not what they must be; nothing has been written then.
    """
    spec = load_study(study, changes)
    source = source_for(study, mirror)
    plan = plan_of(spec, source)
    forget_inputs()
    there = store_if_any(store)
    if there is not None:
        check_whole(plan, there)
    is_work_left = there is None or any(
        there.artifact(job.kind, job.id) is None for job in plan.jobs if not job.config.is_for_others
    )
    if is_work_left:
        from tunescope.preflight.inputs import check_inputs

        check_inputs(plan, source)
    if there is not None:
        from tunescope.preflight.unchanged import check_unchanged

        check_unchanged(plan, there, source)
    context = _context(spec, source, is_work_left=is_work_left)
    kept = there if there is not None else Store.open(store, create=True)
    with kept.lock():
        kept.studies.save(
            spec.name,
            study_text_as_run(study, changes),
            [_job_line(job) for job in plan.jobs],
            known_of(spec, source).model_dump(),
        )
        summary = run_plan(plan.jobs, kept, InlineExecutor(kept, STEPS, context), on_event)
        write_optuna_storage(plan, kept, kept.studies.folder(spec.name))
    report, problem = _reported(Opened(plan=plan, store=kept, text=study_text_as_run(study, changes)))
    return StudyRun(
        plan=plan,
        summary=summary,
        rows=tuple(collect(plan, kept)),
        store=store,
        report=report,
        report_problem=problem,
    )


def _reported(opened: Opened) -> tuple[Path | None, str]:
    """The report's page, or why there is none: what has run is told all the same."""
    try:
        return write_opened(opened), ""
    except TunescopeError as error:
        return None, str(error)


def _context(spec: StudySpec, source: Source, *, is_work_left: bool) -> StepContext:
    return StepContext(
        source=source,
        compute=spec.compute,
        device=chosen_device(spec.compute.device) if is_work_left else "cpu",  # looking for a GPU loads torch
        num_threads=chosen_threads(spec.compute.num_threads),
        report=lambda progress: None,
    )


def _job_line(job: Job) -> dict[str, object]:
    return {
        "kind": job.kind,
        "id": job.id,
        "label": job.label,
        "about": dict(job.about),
        "inputs": {role: needed.id for role, needed in job.inputs.items()},
    }
