"""What stores hold besides whole artifacts, brought together: failures, logs, and checkpoints of jobs nobody has finished."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store.atomic import sync_folder, write_json, write_text
from tunescope.store.merging.choice import Key
from tunescope.store.merging.copying import copy_file
from tunescope.store.names import is_job, job_name
from tunescope.store.record import Failure
from tunescope.store.store import Store
from tunescope.store.whole import NotWholeError, plain_files, sync_folders


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What an unfinished job keeps for its next try, in one of the stores."""

    kind: str
    id: str
    folder: Path
    files: tuple[str, ...]
    """Paths in the folder."""
    num_bytes: int
    changed_ns: int
    """When the newest of its files was written."""

    @property
    def name(self) -> str:
        return job_name(self.kind, self.id)

    def copy_to(self, work: Path) -> int:
        """Copies it into a new work folder.

        Returns:
            Bytes copied.

        Raises:
            StoreError: If a file cannot be read.
        """
        for file in self.files:
            target = work / "scratch" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                copy_file(self.folder / file, target)
            except NotWholeError as error:
                raise StoreError(
                    f"the checkpoint {self.folder} of an unfinished job: {error.what}. Nothing was copied."
                ) from error
        sync_folders(work)
        sync_folder(work.parent)
        return self.num_bytes


@dataclass(frozen=True, kw_only=True)
class Rest:
    """What is to be added to the destination besides artifacts."""

    failures: dict[Key, Failure]
    """Of jobs that no store has done."""
    logs: dict[str, list[Path]]
    """Name of a job's log -> those of the sources."""
    checkpoints: tuple[Checkpoint, ...]
    """The newest of each job that no store has done, where it is not the destination's."""


def read_rest(stores: Sequence[Store], there: Store | None, done: Collection[Key]) -> Rest:
    """What stores hold besides artifacts.

    Args:
        stores: All, the destination among them.
        there: The destination, where there is one.
        done: Jobs of which the merged store will have the artifact.

    Raises:
        StoreError: If the file that says why a job failed cannot be read.
    """
    failures: dict[Key, Failure] = {}
    logs: dict[str, list[Path]] = {}
    newest: dict[Key, tuple[Store, Checkpoint]] = {}
    for store in stores:
        for key in store.layout.known_keys():
            if key in done:
                continue
            failure = store.failure(*key)
            if failure is not None and (key not in failures or failure.failed_at > failures[key].failed_at):
                failures[key] = failure
            checkpoint = _checkpoint(store, key)
            if checkpoint is not None and (key not in newest or checkpoint.changed_ns > newest[key][1].changed_ns):
                newest[key] = (store, checkpoint)
        if store is not there:
            for log in sorted((store.path / "logs").glob("*.log")):
                kind, _, id = log.stem.partition("-")
                if is_job(kind, id):
                    logs.setdefault(log.name, []).append(log)
    checkpoints = tuple(checkpoint for store, checkpoint in newest.values() if store is not there)
    return Rest(failures=failures, logs=logs, checkpoints=checkpoints)


def bytes_of_checkpoints(rest: Rest) -> int:
    """Bytes that the checkpoints to be carried over take."""
    return sum(checkpoint.num_bytes for checkpoint in rest.checkpoints)


def add_rest(rest: Rest, there: Store) -> tuple[int, int]:
    """Writes failures and logs that the destination lacks.

    Returns:
        Failures added, and logs that are new or have grown.

    Raises:
        StoreError: If the disk is full or the store not writable.
    """
    num_failures = 0
    for (kind, id), failure in rest.failures.items():
        if there.failure(kind, id) != failure:
            path = there.layout.failure(kind, id)
            path.parent.mkdir(exist_ok=True)
            write_json(path, failure.model_dump(mode="json"))
            num_failures += 1
    num_logs = 0
    for name, paths in rest.logs.items():
        target = there.path / "logs" / name
        before = _text(target)
        after = before
        for path in paths:
            after = joined(after, _text(path))
        if after != before:
            target.parent.mkdir(exist_ok=True)
            write_text(target, after)
            num_logs += 1
    return num_failures, num_logs


def joined(one: str, other: str) -> str:
    """Two logs of one job: what begins earlier first, and nothing twice."""
    if other in one:
        return one
    if one in other:
        return other
    first, second = sorted((one, other), key=lambda text: text.split(" ", 1)[0])  # a line begins with its time
    return first + ("" if first.endswith("\n") else "\n") + second


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _checkpoint(store: Store, key: Key) -> Checkpoint | None:
    folder = store.layout.work(*key) / "scratch"
    if not folder.is_dir():
        return None
    try:
        files = tuple(plain_files(folder))
    except NotWholeError as error:
        raise StoreError(
            f"the checkpoint {folder} of an unfinished job: {error.what}. Delete it and try again."
        ) from error
    if not files:
        return None
    found = [os.stat(folder / file) for file in files]
    return Checkpoint(
        kind=key[0],
        id=key[1],
        folder=folder,
        files=files,
        num_bytes=sum(one.st_size for one in found),
        changed_ns=max(one.st_mtime_ns for one in found),
    )
