"""The history of a study's run commands -> how long each took beside its prediction, and how busy its workers were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tunescope.store import Store
from tunescope.store.history import RunLine, read_runs
from tunescope.store.layout import Layout
from tunescope.study.plan import Plan


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """One `tunescope run` of the study that had something to do or failed to."""

    started_at: datetime
    ended_at: datetime
    host: str
    executor: str
    num_workers: int
    shard: str | None
    ending: Literal["whole", "failures", "interrupted", "killed"]
    """`failures`: it went to its end and jobs failed or could not run; `killed`: it never said how it ended, its figures are
    those of its last sign of life."""
    num_done: int
    num_reused: int
    num_failed: int
    num_blocked: int
    num_left: int
    num_retried: int
    predicted_s: float | None
    """Makespan: seconds until the last worker was to be done. None where a job had no prediction."""
    makespan_s: float
    ratio: float | None
    """Actual / predicted makespan; None unless it did all that was predicted."""
    job_seconds: float
    """Sum over the tries of jobs that ended."""
    busy_share: float | None
    """`job_seconds` / (workers x makespan); of an interrupted or killed run too small by the tries under way then."""


@dataclass(frozen=True, kw_only=True)
class ShardMakespan:
    """Shards of one study that ran beside each other: as long as the longest of them."""

    num_shards: int
    num_seen: int
    """Shards of which the store has a run; others ran into stores that were not merged into this one."""
    predicted_s: float | None
    """The largest of the first runs' predictions; None where one has none."""
    makespan_s: float
    """The largest sum of a shard's runs."""
    job_seconds: float


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """Every run command that the store knows of."""

    commands: tuple[RunCommand, ...] = ()
    """Oldest first; without those that found nothing to do."""
    shards: tuple[ShardMakespan, ...] = ()
    """By number of shards."""
    num_torn: int = 0
    """Lines of the history that cannot be read."""


def collect_history(plan: Plan, store: Store) -> RunHistory:
    """What each run command on a study took.

    Raises:
        StoreError: If the history is there and cannot be opened.
    """
    lines, num_torn = read_runs(Layout(root=store.path).runs(plan.study.name))
    lines = [line for line in lines if line.done or line.failed or line.blocked or line.left or line.retried]
    return RunHistory(
        commands=tuple(_command(line) for line in sorted(lines, key=lambda line: line.started_at)),
        shards=tuple(_shards(lines)),
        num_torn=num_torn,
    )


def _command(line: RunLine) -> RunCommand:
    has_failed = bool(line.failed or line.blocked)
    ending: Literal["whole", "failures", "interrupted", "killed"] = "failures" if has_failed else "whole"
    if line.interrupted:
        ending = "killed" if line.killed else "interrupted"
    predicted, took = line.predicted_makespan_s, line.duration_s
    return RunCommand(
        started_at=line.started_at,
        ended_at=line.ended_at,
        host=line.host,
        executor=line.executor,
        num_workers=line.num_workers,
        shard=line.shard,
        ending=ending,
        num_done=line.done,
        num_reused=line.reused,
        num_failed=line.failed,
        num_blocked=line.blocked,
        num_left=line.left,
        num_retried=line.retried,
        predicted_s=predicted,
        makespan_s=took,
        ratio=took / predicted if predicted and ending == "whole" else None,
        job_seconds=line.job_seconds,
        busy_share=line.job_seconds / (line.num_workers * took) if took > 0.0 else None,
    )


def _shards(lines: Sequence[RunLine]) -> list[ShardMakespan]:
    by_number: dict[int, dict[str, list[RunLine]]] = {}
    for line in lines:
        _, slash, number = (line.shard or "").partition("/")
        if slash and number.isdecimal():
            by_number.setdefault(int(number), {}).setdefault(line.shard or "", []).append(line)
    found = []
    for num_shards, shards in sorted(by_number.items()):
        first = [min(own, key=lambda line: line.started_at).predicted_makespan_s for own in shards.values()]
        known = [seconds for seconds in first if seconds is not None]
        found.append(
            ShardMakespan(
                num_shards=num_shards,
                num_seen=len(shards),
                predicted_s=max(known) if len(known) == len(first) else None,
                makespan_s=max(math.fsum(line.duration_s for line in own) for own in shards.values()),
                job_seconds=math.fsum(line.job_seconds for own in shards.values() for line in own),
            )
        )
    return found
