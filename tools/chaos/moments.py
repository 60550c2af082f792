"""What a store's job logs and work folders say was under way at a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Moment = Literal["start-up", "between jobs", "in training", "in another job", "while committing", "at the end"]
MOMENTS: tuple[Moment, ...] = get_args(Moment)

_TRAININGS = ("train", "trial")


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """A job that has begun and not ended."""

    kind: str
    id: str
    moment: Moment


def log_sizes(store: Path) -> dict[str, int]:
    """Job log -> its bytes: what a command that begins now finds there."""
    return {path.name: path.stat().st_size for path in store.glob("logs/*.log")}


def jobs_under_way(store: Path, before: Mapping[str, int]) -> list[UnderWay]:
    """The jobs that have begun since, and have not ended; `before` is what `log_sizes` said then."""
    found = []
    for path in store.glob("logs/*.log"):
        begun, ended = _last_begin_and_end(path, before.get(path.name, 0))
        if begun >= 0 and ended < begun:
            kind, _, id = path.stem.rpartition("-")
            found.append(UnderWay(kind=kind, id=id, moment=_moment_of(store, kind, id)))
    return found


def moment_now(store: Path, before: Mapping[str, int], num_jobs: int, *, pid: int | None = None) -> Moment:
    """What was under way just now; where several jobs were, the worker's own if `pid` is given, else the rarest moment."""
    under_way = jobs_under_way(store, before)
    last_seen = None if pid is None else _job_of(store, pid)
    own = [job for job in under_way if job.id == last_seen]
    moments = {job.moment for job in own or under_way}
    for moment in ("while committing", "in training", "in another job"):
        if moment in moments:
            return moment
    if num_artifacts(store) >= num_jobs:
        return "at the end"
    has_begun = any(_last_begin_and_end(path, before.get(path.name, 0))[0] >= 0 for path in store.glob("logs/*.log"))
    return "between jobs" if has_begun else "start-up"


def is_committing(store: Path) -> bool:
    """Whether some job's output has just got its record, and is no artifact yet."""
    return any(store.glob("work/*/out/*record.json*"))


def num_artifacts(store: Path) -> int:
    """Artifacts that are in their place."""
    return sum(1 for _ in store.glob("artifacts/*/*/record.json"))


def _last_begin_and_end(path: Path, start: int) -> tuple[int, int]:
    """Where in the log the last begin and the last end stand, from `start` on; -1 where there is none."""
    with path.open("rb") as file:
        file.seek(start)
        text = file.read()
    ends = (b": done in ", b" ended by ", b" stopped on request ")
    return text.rfind(b": begin "), max(text.rfind(end) for end in ends)


def _moment_of(store: Path, kind: str, id: str) -> Moment:
    work = store / "work" / f"{kind}-{id}"
    if (store / "artifacts" / kind / id).exists() or any(work.glob("out/*record.json*")):
        return "while committing"
    is_training = kind in _TRAININGS and any(work.glob("scratch/log.jsonl"))
    return "in training" if is_training else "in another job"


def _job_of(store: Path, pid: int) -> str | None:
    """The job that a worker was last seen with; None where it has none, or nothing has been told of it yet."""
    live = store / "live.json"
    workers = json.loads(live.read_text(encoding="utf-8"))["workers"] if live.exists() else []
    return next((worker["job"]["id"] for worker in workers if worker["pid"] == pid and worker["job"]), None)
