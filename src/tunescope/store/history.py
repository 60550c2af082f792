"""What each run command on a study came to: a JSON line in STORE/studies/NAME/runs.jsonl."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field, ValidationError

from tunescope.errors import StoreError
from tunescope.fields import Frozen
from tunescope.store.atomic import writing_in

NonNegative = Annotated[float, Field(ge=0.0)]
NumJobs = Annotated[int, Field(ge=0)]


class RunLine(Frozen):
    """One run command."""

    started_at: AwareDatetime
    ended_at: AwareDatetime
    duration_s: NonNegative
    """By a clock that never jumps; it can differ from `ended_at` - `started_at`."""
    executor: str
    """ "inline", "local", "ray"."""
    num_workers: Annotated[int, Field(ge=1)]
    shard: str | None
    """ "1/3" of a run with --shard."""
    predicted_makespan_s: NonNegative | None
    """Seconds that the jobs to do were predicted to take on these workers; None where one of them had no prediction."""
    job_seconds: NonNegative
    """Of all tries of jobs that ended, those that failed included."""
    done: NumJobs
    reused: NumJobs
    failed: NumJobs
    """Trials that a sweep does without included."""
    blocked: NumJobs
    left: NumJobs
    retried: NumJobs
    """Tries that failed and were followed by another."""
    interrupted: bool
    killed: bool = False
    """It never said how it ended: the next command found its last sign of life, and the figures are of then."""
    host: str
    tunescope: str
    """Its version."""


def append_run(path: Path, line: RunLine) -> None:
    """Adds a line to a history, on the disk when the call returns; what a crash left torn before it stays a line of its own.

    Args:
        path: `Layout.runs` of the study, whose folder is there.
        line: The command.

    Raises:
        StoreError: If the disk is full or the store not writable.
    """
    with writing_in(path.parent), open(path, "ab+") as file:
        is_torn = file.seek(0, os.SEEK_END) > 0 and _last_byte(file.fileno()) != b"\n"
        file.write((b"\n" if is_torn else b"") + line.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_runs(path: Path) -> tuple[list[RunLine], int]:
    """The commands of a history, oldest first, and how many of its lines cannot be read; none where there is no history.

    Raises:
        StoreError: If the file cannot be read.
    """
    try:
        texts = path.read_bytes().splitlines()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    lines: list[RunLine] = []
    num_torn = 0
    for text in texts:
        try:
            lines.append(RunLine.model_validate_json(text))
        except ValidationError:
            num_torn += 1
    return lines, num_torn


def _last_byte(descriptor: int) -> bytes:
    return os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1)
