"""What runs now, as the command that runs it last said in STORE/live.json, and how far that can be believed.

Whether a command that wrote the file still lives is told without trusting two machines' clocks to agree:

1. A command that ended says so in the file.
2. On the same machine (the same boot and process namespace), its process is there or it is not: no clock is asked.
3. Elsewhere a file whose age, its modification time against the clock here, lies between 0 and `STALE_AFTER_S` is a sign of
   life. At any other age the clocks may disagree: the file is read again until its `sequence` has moved on (alive), or
   `LOOK_AGAIN_S` seconds of this process's own clock have passed (not heard from).

So a clock that is wrong or jumps costs some seconds of waiting, and makes no live command look dead. The command itself counts
durations by a clock that never jumps.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from tunescope.errors import StoreError
from tunescope.fields import Frozen
from tunescope.store.record import FailureCause

HEARTBEAT_S = 2.0
"""Seconds, at most, between two writings while nothing happens."""
STALE_AFTER_S = 60.0
"""A file this old is no sign of life: a network file system shows changes late, and a machine that swaps writes late."""
LOOK_AGAIN_S = 3.0 * HEARTBEAT_S
"""Seconds within which a live command writes again."""
_AHEAD_S = 2.0
"""A file from the future by no more than this is of now."""

NonNegative = Annotated[float, Field(ge=0.0)]


class LiveProgress(Frozen):
    """How far a training is."""

    step: int
    num_steps: int
    loss: float | None
    """None where it is not finite."""
    rate: NonNegative
    """Optimiser steps per second."""
    remaining_s: NonNegative


class LiveJob(Frozen):
    """A try of a job that is under way."""

    kind: str
    id: str
    label: str
    elapsed_s: NonNegative
    num_attempts: int
    """Tries before this one."""
    progress: LiveProgress | None
    """None before the first step, and for jobs that take none."""


class LiveWorker(Frozen):
    """A worker and what it does; None is not known."""

    name: str
    """Empty where the command does the jobs itself."""
    host: str
    pid: int
    device: str
    state: Literal["starting", "idle", "running"]
    job: LiveJob | None
    rss_gib: NonNegative | None
    gpu_memory_gib: NonNegative | None
    gpu_utilisation_percent: NonNegative | None


class LiveRetry(Frozen):
    """A job whose last try failed and that is tried again, now or later."""

    kind: str
    id: str
    label: str
    num_attempts: int
    """Tries that failed."""
    cause: FailureCause
    reason: str


class TimeLeft(Frozen):
    """When the command is expected to be done."""

    seconds: NonNegative | None
    """From the writing on; None where it cannot be told."""
    why: str
    """What it rests on, or why there is none."""


class Live(Frozen):
    """A command that runs a study: what is under way, and how many jobs are what."""

    format: Literal[1]
    study: str
    command: str
    host: str
    pid: int
    process: str | None
    """Names the process among all of all machines; None where the system does not tell. See `process_key`."""
    sequence: int
    """Grows with every writing."""
    state: Literal["running", "stopping", "ended"]
    started_at: AwareDatetime
    elapsed_s: NonNegative
    executor: str
    num_workers: int
    shard: str | None
    """ "1/3" of a run with --shard."""
    num_jobs: int
    num_reused: int
    num_done: int
    num_failed: int
    num_blocked: int
    num_retried: int
    num_workers_lost: int
    job_seconds: NonNegative
    """Of all tries that ended."""
    predicted_makespan_s: NonNegative | None
    """When it began; see `RunLine`."""
    time_left: TimeLeft
    workers: tuple[LiveWorker, ...]
    retries: tuple[LiveRetry, ...]
    tunescope: str
    """Its version."""

    @property
    def num_left(self) -> int:
        """Jobs under way and those that wait."""
        return self.num_jobs - self.num_reused - self.num_done - self.num_failed - self.num_blocked


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a reader can say of a command that wrote the live state."""

    live: Live
    driver: Literal["alive", "quiet", "gone", "silent", "ended"]
    """`quiet`: its process is there and has not written for `STALE_AFTER_S`; `gone`: its process is not there any more;
    `silent`: not heard from, on a machine that cannot be asked; `ended`: it said so."""
    age_s: float
    """Seconds since it last wrote, 0 or more; of clocks that do not agree, the seconds waited for it."""

    @property
    def is_running(self) -> bool:
        """Whether what it says to be under way is."""
        return self.driver in ("alive", "quiet")


def read_live(path: Path) -> Live | None:
    """The file as it is; None where there is none.

    Raises:
        StoreError: If it is torn or of another version of tunescope.
    """
    try:
        return Live.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StoreError(
            f"{path} cannot be read ({place + ': ' if place else ''}{first['msg']}): it is torn, or another version of tunescope "
            "wrote it. What runs now is not known; the next run writes it anew."
        ) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}. What runs now is not known.") from error


def look(
    path: Path,
    *,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Seen | None:
    """What runs now, and whether it can be believed; None where nothing ever ran. May wait for `LOOK_AGAIN_S`.

    Args:
        path: The store's live.json.
        now: Seconds since 1970 by this machine's clock.
        clock: Seconds by a clock that never jumps.
        sleep: Waits for so many seconds.

    Raises:
        StoreError: If the file is torn or of another version of tunescope.
    """
    live = read_live(path)
    if live is None:
        return None
    age = _age(path, now)
    shown = max(0.0, age)
    if live.state == "ended":
        return Seen(live=live, driver="ended", age_s=shown)
    is_there = _is_there(live.process, live.pid)
    if is_there is False:
        again = read_live(path)  # it may have ended in the meantime, and said so
        has_ended = again is not None and again.state == "ended"
        return Seen(live=again or live, driver="ended" if has_ended else "gone", age_s=shown)
    if -_AHEAD_S <= age <= STALE_AFTER_S:
        return Seen(live=live, driver="alive", age_s=shown)
    began = clock()
    while (waited := clock() - began) < LOOK_AGAIN_S:
        sleep(0.25 * HEARTBEAT_S)
        again = read_live(path)
        if again is not None and (again.process, again.sequence) != (live.process, live.sequence):
            return Seen(live=again, driver="ended" if again.state == "ended" else "alive", age_s=0.0)
    return Seen(live=live, driver="quiet" if is_there else "silent", age_s=age if age > STALE_AFTER_S else waited)


def process_key(pid: int) -> str | None:
    """A name that no other process has had on any machine: boot, process namespace, number, start (Linux); None elsewhere."""
    place = _place()
    started = _started(pid)
    return None if place is None or started is None else f"{place}/{pid}/{started}"


def _is_there(process: str | None, pid: int) -> bool | None:
    """Whether a process of this machine is there; None where it is of another machine, or that cannot be told."""
    place = _place()
    if process is None or place is None or not process.startswith(place + "/"):
        return None
    return process_key(pid) == process


def _place() -> str | None:
    """This boot of this machine, and the process namespace: in another container the same number is another process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process started, in ticks since boot: field 22 of /proc/PID/stat; None where it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in ("Z", "X") else fields[19]


def _age(path: Path, now: Callable[[], float]) -> float:
    try:
        return now() - path.stat().st_mtime
    except OSError:  # replaced or removed just now
        return 0.0
