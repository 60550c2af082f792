"""Each command as a function: what `tunescope run` and its siblings do, for scripts and notebooks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from tunescope.analysis import hypotheses
from tunescope.analysis.collect import ResultRow, State, as_table, collect, state_of
from tunescope.analysis.drift import DriftResult, LayerDrift, collect_drift, collect_layers
from tunescope.analysis.hypotheses import Compared
from tunescope.analysis.optuna_storage import write_optuna_storage
from tunescope.analysis.retention import Retained, collect_retention
from tunescope.analysis.second_opinion import SecondOpinion, second_opinions
from tunescope.analysis.seed_spread import measured_spread
from tunescope.analysis.sweeps import SweepSummary, summarise_sweeps
from tunescope.analysis.trials import TrialRow, collect_trials
from tunescope.errors import StoreError, TunescopeError
from tunescope.execution.events import OnEvent
from tunescope.execution.inline import InlineExecutor
from tunescope.execution.runner import Summary, run_plan, unwanted
from tunescope.hub.source import Source
from tunescope.preflight.whole import check_whole
from tunescope.steps import STEPS
from tunescope.steps.context import StepContext
from tunescope.steps.device import chosen_device, chosen_threads
from tunescope.steps.inputs import forget_inputs
from tunescope.store import Store
from tunescope.study.detectable import SeedSpread
from tunescope.study.drift import DRIFT_MEASURE, DriftSettings, Read
from tunescope.study.estimate import estimate
from tunescope.study.job import Job
from tunescope.study.known import architectures, decoders, expected_device, source_for
from tunescope.study.load import load_study, study_text_as_run
from tunescope.study.own_files import own_files_sha256, with_own_rows
from tunescope.study.placement import Placement, place
from tunescope.study.plan import Plan, make_plan
from tunescope.study.spec import StudySpec
from tunescope.tasks.registry import catalogue_entry
from tunescope.tasks.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd

    from tunescope.drift.two_models import TwoModels

DEFAULT_STORE = Path("tunescope-store")


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """What `run` did, and all that the store now knows of the study."""

    plan: Plan
    summary: Summary
    rows: tuple[ResultRow, ...]
    sweeps: tuple[SweepSummary, ...]
    comparisons: StudyComparisons
    drift: tuple[DriftResult, ...]
    retention: tuple[Retained, ...]
    store: Path


@dataclass(frozen=True, kw_only=True)
class JobState:
    """One job of a plan as the store knows it."""

    job: Job
    state: State
    reason: str
    log: Path
    is_wanted: bool
    """Whether `run` would do it, were it not done: a trial is not wanted once its sweep has gone on without it."""


@dataclass(frozen=True, kw_only=True)
class StudyStatus:
    """Where a study stands."""

    plan: Plan
    jobs: tuple[JobState, ...]
    store: Path

    @property
    def counts(self) -> Counter[State]:
        """Jobs by state, without those that nothing waits for any more."""
        return Counter(job.state for job in self.jobs if job.state == "done" or job.is_wanted)


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


def measured_seed_spread(plan: Plan, store: Path = DEFAULT_STORE) -> dict[tuple[str, str], SeedSpread]:
    """By task and score, how far a plan's finished runs lie apart between seeds; nothing where there is no store.

    Raises:
        TunescopeError: If the store is not what it must be.
    """
    there = _store_if_any(store)
    return {} if there is None else measured_spread(collect(plan, there))


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
        kept.save_study(spec.name, study_text_as_run(study, changes), [_job_line(job) for job in plan.jobs])
        summary = run_plan(plan.jobs, kept, InlineExecutor(kept, STEPS, context), on_event)
        write_optuna_storage(plan, kept, kept.study_folder(spec.name))
    return StudyRun(
        plan=plan,
        summary=summary,
        rows=tuple(collect(plan, kept)),
        sweeps=tuple(summarise_sweeps(plan, kept)),
        comparisons=_compared(plan, kept),
        drift=tuple(collect_drift(plan, kept)),
        retention=tuple(collect_retention(plan, kept)),
        store=store,
    )


def study_status(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> StudyStatus:
    """What of a study is done, failed or left.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    plan, kept = _stored(study, store, mirror, changes)
    states = {job.id: state_of(job, kept) for job in plan.jobs}
    whole = {id for id, (state, _) in states.items() if state == "done"}
    left_out = {job.id for job in unwanted(plan.jobs, whole)}
    jobs = [
        JobState(
            job=job,
            state=states[job.id][0],
            reason=states[job.id][1],
            log=kept.log_file(job.kind, job.id),
            is_wanted=job.id not in left_out,
        )
        for job in plan.jobs
    ]
    return StudyStatus(plan=plan, jobs=tuple(jobs), store=store)


def study_results(
    study: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
) -> list[ResultRow]:
    """The tidy table of a study: a row per run or baseline and score.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    plan, kept = _stored(study, store, mirror, changes)
    return collect(plan, kept)


def study_trials(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> tuple[list[TrialRow], list[SweepSummary]]:
    """Every trial of a study's sweeps, and what is to be said of each sweep.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    plan, kept = _stored(study, store, mirror, changes)
    return collect_trials(plan, kept), summarise_sweeps(plan, kept)


@dataclass(frozen=True, kw_only=True)
class StudyComparisons:
    """What a study's runs say of its methods: the comparisons, and what other methods say of them together."""

    plan: Plan
    comparisons: tuple[Compared, ...]
    opinions: tuple[SecondOpinion, ...]


def compare_study(
    study: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    alpha: float = 0.05,
) -> StudyComparisons:
    """A study's declared hypotheses with intervals, tests and verdicts; all pairs of methods, exploratory, where it has none.

    Args:
        study: The study's YAML file.
        store: Where its runs are.
        mirror: A folder that stands in for the hub.
        changes: As given to `--set`.
        alpha: Chance, at most, of a false verdict in the family.

    Raises:
        TunescopeError: If the study is wrong, there is no store, or alpha is no share.
    """
    if not 0.0 < alpha < 1.0:
        raise TunescopeError(f"alpha: expected a number between 0 and 1, found {alpha:g}. Usual is 0.05.")
    plan, kept = _stored(study, store, mirror, changes)
    return _compared(plan, kept, alpha)


def _compared(plan: Plan, store: Store, alpha: float = 0.05) -> StudyComparisons:
    return StudyComparisons(
        plan=plan,
        comparisons=tuple(hypotheses.compare_study(plan, store, alpha=alpha)),
        opinions=tuple(second_opinions(plan, collect(plan, store))),
    )


def load_results(
    study: Path | str, store: Path | str = DEFAULT_STORE, mirror: Path | str | None = None
) -> pd.DataFrame:
    """`study_results` as a pandas DataFrame."""
    rows = study_results(Path(study), store=Path(store), mirror=None if mirror is None else Path(mirror))
    frame: pd.DataFrame = as_table(rows).to_pandas()
    return frame


def study_drift(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> tuple[list[DriftResult], list[LayerDrift]]:
    """How far each run drifted, and every layer and measure behind it.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    plan, kept = _stored(study, store, mirror, changes)
    return collect_drift(plan, kept), collect_layers(plan, kept)


def study_retention(
    study: Path, *, store: Path = DEFAULT_STORE, mirror: Path | None = None, changes: Sequence[str] = ()
) -> list[Retained]:
    """What each run still makes of plain text, beside its base model.

    Raises:
        TunescopeError: If the study is wrong, or there is no store.
    """
    return collect_retention(*_stored(study, store, mirror, changes))


def drift_between(
    base: str,
    tuned: str,
    *,
    task: str | None = None,
    text: Path | None = None,
    mirror: Path | None = None,
    pooling: Read = "last_token",
    num_examples: int | None = None,
    max_length: int = 512,
    weights: bool = True,
    weight_directions: bool = False,
) -> TwoModels:
    """How far two models are apart on a task's report rows, or on the texts of a file.

    Args:
        base: Hub id or folder of a model.
        tuned: Hub id or folder of a model, a peft adapter, or what a run keeps.
        task: A task of the catalogue; either this or `text`.
        text: A text file, or a table with a column `text`.
        mirror: A folder that stands in for the hub.
        pooling: How a text's hidden states are read; of `all_tokens` there is the debiased CKA alone.
        num_examples: At most so many.
        max_length: Tokens of a text.
        weights: Whether the updates of the weights are measured too.
        weight_directions: Whether their singular directions are compared with the base weights' as well.

    Raises:
        TunescopeError: If a model, data set or file is not there, or the two cannot be compared.
    """
    from tunescope.drift.two_models import compare_models
    from tunescope.tasks.texts import TextSource, read_texts

    if (task is None) == (text is None):
        raise TunescopeError("drift is measured on a task or on a text file: give one of them.")
    source = source_for(Path("study.yaml"), mirror)
    on = (
        TypeAdapter(TaskSpec).validate_python({"name": task} | catalogue_entry(task))
        if task is not None
        else read_texts(TextSource(name="texts", file=str(text)), source)
    )
    return compare_models(
        base,
        tuned,
        on,
        source=source,
        measures=(DRIFT_MEASURE,) if pooling == "all_tokens" else DriftSettings().measures,
        pooling=(pooling,),
        num_examples=num_examples,
        max_length=max_length,
        weights=weights,
        weight_directions=weight_directions,
        device=chosen_device("auto"),
    )


def forget(prefix: str, *, store: Path = DEFAULT_STORE) -> list[str]:
    """Deletes the one artifact whose id starts with `prefix`, so that the next run makes it anew."""
    return Store.open(store, create=False).forget(prefix)


def _plan(spec: StudySpec, source: Source) -> Plan:
    hashes = own_files_sha256(spec, source)
    return make_plan(spec, decoders(spec, source), hashes)


def _estimated(spec: StudySpec, source: Source) -> Plan:
    plan = replace(_plan(spec, source), study=with_own_rows(spec, source))
    return estimate(plan, architectures(spec, source), expected_device(spec))


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
