"""A plan and its placement as a person reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.report.notes import study_notes
from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.detectable import detectable_summary
from tunescope.report.terminal.inert import inert
from tunescope.study.configs import DriftConfig, RepresentConfig
from tunescope.study.detectable import SeedSpread, what_it_could_find
from tunescope.study.job import Job
from tunescope.study.placement import Placement
from tunescope.study.plan import Plan, baselines_left_out

_MAX_JOBS = 60
_OF_RUNS = ("propose", "trial", "select", "train", "evaluate")


def plan_summary(
    plan: Plan,
    placement: Placement,
    *,
    device: str,
    every_job: bool = False,
    measured: Mapping[tuple[str, str], SeedSpread] | None = None,
) -> RenderableType:
    """Jobs with predicted time, memory and disk; who runs what; what the study could find; what all that rests on."""
    study = plan.study
    parts: list[RenderableType] = [
        Text(
            f"{study.name}: {len(study.base_models)} base model(s) x {len(study.tasks)} tasks x {len(study.methods)} methods x "
            f"{len(study.seeds)} seeds = {len(plan.runs)} runs; {len(plan.jobs)} jobs",
            style="bold",
        )
    ]
    if len(plan.jobs) <= _MAX_JOBS or every_job:
        parts.append(Blocks(_job_table(plan.jobs, placement), num_keys=1))
    else:
        parts.append(Blocks(_kind_table(plan.jobs), num_keys=2))
        parts.append(Text(f"{len(plan.jobs)} jobs in groups; --jobs lists every one", style="dim"))
    parts.append(Blocks(_worker_table(placement, device), num_keys=1))
    parts.append(_all_disks(placement))
    parts.extend(_kept_states(plan))
    parts.extend(detectable_summary(what_it_could_find(study, measured), len(study.seeds)))
    parts.extend(Text(inert(note), style="dim") for note in placement.notes)
    stated = {(cell.baseline, cell.task.name, cell.base_model) for cell in plan.baselines}
    parts.extend(Text(inert(line), style="dim") for line in baselines_left_out(study, stated))
    parts.extend(Text(inert(note), style="dim") for note in study_notes(study))
    return Group(*parts)


def _job_table(jobs: Iterable[Job], placement: Placement) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name, side in (
        ("job", "left"),
        ("kind", "left"),
        ("worker", "right"),
        ("time", "right"),
        ("memory", "right"),
        ("disk", "right"),
    ):
        table.add_column(name, justify=side, no_wrap=name != "job")  # type: ignore[arg-type]
    workers = {job.id: worker.number for worker in placement.workers for job in worker.jobs}
    for job in jobs:
        needs = job.resources
        table.add_row(
            Text(inert(job.label)),
            job.kind,
            str(workers.get(job.id, "-")),
            time_shown(needs.predicted_s),
            gib(needs.memory_gib),
            gib(needs.disk_gib),
        )
    return table


def _kind_table(jobs: Iterable[Job]) -> Table:
    groups: defaultdict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in jobs:
        name = str(job.about.get("method", job.about.get("baseline", "")))
        role = "trial" if job.about.get("role") == "trial" else job.kind
        groups[(str(job.about.get("task", "")), f"{role} {name}".strip())].append(job)
    table = Table(box=box.SIMPLE_HEAD)
    for name, side in (
        ("task", "left"),
        ("jobs", "left"),
        ("number", "right"),
        ("time", "right"),
        ("most memory", "right"),
        ("disk", "right"),
    ):
        table.add_column(name, justify=side, no_wrap=side == "right")  # type: ignore[arg-type]
    for (task, name), members in groups.items():
        table.add_row(
            task,
            name,
            str(len(members)),
            time_shown(_sum(job.resources.predicted_s for job in members)),
            gib(_max(job.resources.memory_gib for job in members)),
            gib(_sum(job.resources.disk_gib for job in members)),
        )
    return table


def _worker_table(placement: Placement, device: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(f"{len(placement.workers)} worker(s), each: {inert(device)}", style="bold"),
        title_justify="left",
    )
    for name, side in (
        ("worker", "right"),
        ("jobs", "right"),
        ("time", "right"),
        ("most memory", "right"),
        ("disk", "right"),
        ("meanwhile", "right"),
        ("what", "left"),
    ):
        table.add_column(name, justify=side, no_wrap=side == "right")  # type: ignore[arg-type]
    for worker in placement.workers:
        table.add_row(
            str(worker.number),
            str(len(worker.jobs)),
            time_shown(worker.predicted_s),
            gib(worker.memory_gib),
            gib(worker.disk_gib),
            gib(worker.scratch_gib),
            what_of(worker.jobs),
        )
    return table


def what_of(jobs: Iterable[Job]) -> str:
    """What a worker's jobs are about, in a few words."""
    asked = list(jobs)
    tasks = dict.fromkeys(str(job.about["task"]) for job in asked if job.kind in _OF_RUNS)
    others = dict.fromkeys(job.kind for job in asked if job.kind not in _OF_RUNS)
    parts = ("runs of " + ", ".join(tasks) if tasks else "", ", ".join(others))
    return "; ".join(part for part in parts if part) or "nothing"


def _all_disks(placement: Placement) -> Text:
    """What stays and what passes, all workers together."""
    stays = gib(_sum(worker.disk_gib for worker in placement.workers))
    passes = gib(_sum(worker.scratch_gib for worker in placement.workers))
    return Text(
        f"on disk {stays} stay in all; meanwhile up to {passes} more, the checkpoints of one job a worker",
        style="dim",
    )


def _kept_states(plan: Plan) -> Iterator[Text]:
    """How much of the disk is hidden states that are kept, where the study keeps them."""
    asked = plan.study.drift
    if asked is None or not asked.keep_representations:
        return
    keeping = [
        job for job in plan.jobs if isinstance(job.config, RepresentConfig | DriftConfig) and job.config.keep_states
    ]
    kept = gib(_sum(job.resources.disk_gib for job in keeping))
    whose = "the base models'" if asked.keep_representations == "base" else "the base models' and every run's"
    yield Text(f"of the disk, {kept} are kept hidden states, {whose} (drift.keep_representations)")


def time_shown(seconds: float | None) -> str:
    """Seconds as a person reads them; `?` where unknown."""
    if seconds is None:
        return "?"
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def gib(value: float | None) -> str:
    """GiB as a person reads them; `?` where unknown."""
    if value is None:
        return "?"
    return f"{value:.1f} GiB" if value >= 1 else f"{value * 1024:.0f} MiB"


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if any(value is None for value in known) else sum(value for value in known if value is not None)


def _max(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return (
        None
        if any(value is None for value in known)
        else max((value for value in known if value is not None), default=0.0)
    )
