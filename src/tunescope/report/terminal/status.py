"""Where a study stands, as a person reads it: jobs by kind, what runs now, failures and how to look into them, disk, end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert
from tunescope.report.terminal.plan import gib, time_shown

if TYPE_CHECKING:
    from tunescope.api.status import JobState, StudyStatus
    from tunescope.store.live import LiveWorker, Seen
    from tunescope.store.record import Attempt

_STATES = {"done": "done", "running": "running", "failed": "failed", "missing": "left"}
_MAX_WAITING = 3
_JUST_NOW_S = 10.0
_RETRY_REASON = 200


def status_summary(status: StudyStatus, *, now: datetime | None = None) -> RenderableType:
    """All that `status` shows. Print it with `crop=False`: commands stand on lines that are not broken.

    Args:
        status: Where the study stands.
        now: The local time, for the time of day of the predicted end; the machine's clock where absent.
    """
    told = [one for one in status.jobs if one.state != "missing" or one.is_wanted]
    parts: list[RenderableType] = [_counts(status.plan.study.name, told)]
    parts += _run(status, now or datetime.now().astimezone())
    for one in told:
        parts += _failed(one) if one.state == "failed" else ()
    left = status.counts["missing"]
    rest = f"{left} left" if left else "nothing left"
    free = f"{status.free_gib:,.0f} GiB" if status.free_gib >= 10.0 else gib(status.free_gib)
    parts.append(Text(f"disk: the store takes {gib(status.used_gib)}, {free} free", style="dim"))
    parts.append(Text(inert(f"{rest}. Store: {status.store}"), style="dim", no_wrap=True, overflow="ignore"))
    return Group(*parts)


def clock_shown(seconds: float) -> str:
    """ "1:05" is a minute and five seconds, "2:03:04" more than two hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _counts(name: str, told: list[JobState]) -> Table:
    counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in told:
        for row in (one.job.kind, "all"):
            counts[row][one.state] += 1
    states = [state for state in _STATES if state != "running" or counts["all"][state]]
    table = Table(title=Text(inert(name), style="bold"), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("jobs")
    for state in states:
        table.add_column(_STATES[state], justify="right")
    kinds = [kind for kind in counts if kind != "all"]
    for place, kind in enumerate(kinds):
        is_last = place == len(kinds) - 1
        table.add_row(kind, *(str(counts[kind][state]) for state in states), end_section=is_last)
    if len(kinds) > 1:
        table.add_row("all", *(str(counts["all"][state]) for state in states))
    return table


def _run(status: StudyStatus, now: datetime) -> Iterator[RenderableType]:
    """The run under way, or that there is none."""
    if status.live_problem:
        yield Text(inert(status.live_problem), style="yellow")
    seen = status.seen
    if seen is None:
        return
    live = seen.live
    other = f"{live.study}, another study of this store: " if live.study != status.plan.study.name else ""
    where = f"process {live.pid} on {live.host}"
    if seen.driver == "ended":
        return
    ago = "just now" if seen.age_s < _JUST_NOW_S else f"{time_shown(seen.age_s)} ago"
    if not seen.is_running:
        if seen.driver == "gone":
            told = f"the driver is dead: {where} is not there any more and last wrote {ago}"
        else:
            told = f"not heard from for {time_shown(seen.age_s)}: the driver ({where}) may be dead"
        again = f"Run the same command again, it goes on from there: {live.command}"
        yield Text(inert(f"{other}{told}. {again}"), style="yellow")
        return
    state = "stopping, checkpoints are being written; running" if live.state == "stopping" else "running"
    shard = f", shard {live.shard}" if live.shard else ""
    since = time_shown(live.elapsed_s + seen.age_s)
    yield Text(inert(f"{other}{state} for {since}: {live.command} ({where}{shard}; it wrote {ago})"))
    if seen.driver == "quiet":
        yield Text("its process is there and says nothing: stopped, out of memory, or it cannot write", style="yellow")
    if live.workers:
        yield Blocks(_workers(seen), num_keys=1)
    lost = f", {live.num_workers_lost} lost on the way" if live.num_workers_lost else ""
    at_work = sum(worker.job is not None for worker in live.workers)
    yield Text(
        f"{at_work} of {live.num_workers} workers at work{lost}; this run: done {live.num_done}, failed {live.num_failed}, "
        f"tried again {live.num_retried}, left {live.num_left}"
    )
    under_way = {worker.job.id for worker in live.workers if worker.job is not None}
    for retry in live.retries:
        state = "under way" if retry.id in under_way else "waiting"
        reason = retry.reason if len(retry.reason) <= _RETRY_REASON else retry.reason[:_RETRY_REASON] + " ..."
        tries = f"try {retry.num_attempts + 1} {state}"
        yield Text(inert(f"again: {retry.label} ({retry.kind}), {tries}. Before: {_words(retry.cause)}: {reason}"))
    yield Text(inert(f"predicted end: {_end(seen, now)}"))


def _end(seen: Seen, now: datetime) -> str:
    predicted = seen.live.time_left
    if predicted.seconds is None:
        return f"no prediction ({predicted.why})"
    left = max(0.0, predicted.seconds - seen.age_s)
    at = now + timedelta(seconds=left)
    day = at.strftime("%H:%M") if at.date() == now.date() else at.strftime("%Y-%m-%d %H:%M")
    return f"in {time_shown(left)}, about {day} ({predicted.why})"


def _workers(seen: Seen) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("worker")
    table.add_column("job")
    for name in ("step", "loss", "steps/s", "time", "memory", "GPU"):
        table.add_column(name, justify="right", no_wrap=True)
    for worker in seen.live.workers:
        table.add_row(*(Text(inert(cell)) for cell in _worker_cells(worker, seen.age_s)))
    if all(worker.gpu_memory_gib is None and worker.gpu_utilisation_percent is None for worker in seen.live.workers):
        table.columns.pop()
    return table


def _worker_cells(worker: LiveWorker, age_s: float) -> Iterator[str]:
    yield worker.name or "the command"
    job = worker.job
    at = None if job is None else job.progress
    yield worker.state if job is None else job.label
    yield "" if at is None else f"{at.step}/{at.num_steps}"
    yield "" if at is None else ("not finite" if at.loss is None else f"{at.loss:.4f}")
    yield "" if at is None else f"{at.rate:.3g}"
    if job is None:
        yield ""
    elif at is None:
        yield f"{clock_shown(job.elapsed_s + age_s)} so far"
    else:
        yield f"{clock_shown(max(0.0, at.remaining_s - age_s))} left"
    yield _gib(worker.rss_gib)
    memory, busy = _gib(worker.gpu_memory_gib), worker.gpu_utilisation_percent
    yield memory if busy is None else f"{memory} {busy:.0f}%".strip()


def _failed(one: JobState) -> Iterator[Text]:
    yield Text(inert(f"failed: {one.job.label} ({one.job.kind}/{one.job.id[:8]}): {one.reason}"), style="red")
    if one.failure is not None and one.failure.attempts:
        tries = ", ".join(map(_attempt, one.failure.attempts))
        yield Text(inert(f"  {len(one.failure.attempts) + 1} tries: {tries}, then this"))
    if one.waiting:
        more = f" and {len(one.waiting) - _MAX_WAITING} more" if len(one.waiting) > _MAX_WAITING else ""
        named = ", ".join(one.waiting[:_MAX_WAITING])
        yield Text(inert(f"  {len(one.waiting)} not run for want of it: {named}{more}"))
    yield Text(inert(f"  {one.log_command}"), no_wrap=True, overflow="ignore")


def _attempt(attempt: Attempt) -> str:
    where = f" on {attempt.worker}" if attempt.worker else ""
    after = f" after {time_shown(attempt.duration_s)}" if attempt.duration_s is not None else ""
    return f"{_words(attempt.cause)}{where}{after}"


def _words(cause: str) -> str:
    return cause.replace("_", " ")


def _gib(value: float | None) -> str:
    return "" if value is None else gib(value)
