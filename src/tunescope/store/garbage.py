"""What of a store nothing needs any more, why that is so, and its deletion. What a study of the store wants is never among it."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunescope.errors import StoreError
from tunescope.store.atomic import TEMPORARY
from tunescope.store.lock import is_held
from tunescope.store.names import SHORT_DIGITS, is_job
from tunescope.store.store import Store

BUSY = ".busy-"
"""How the name of a job's lock file begins, in the folder of work folders."""

Reason = Literal["trash", "temporary", "finished", "half-made", "unwanted checkpoint", "forgotten", "unwanted"]

WHY: dict[Reason, str] = {
    "trash": "was being deleted when its command died",
    "temporary": "half-written files that a crash left; nothing reads them",
    "finished": "work folders of jobs whose artifact is whole",
    "half-made": "output of jobs that were cut off; the next try begins with an empty one, from its checkpoint",
    "unwanted checkpoint": "checkpoints of unfinished jobs that no study of the store wants",
    "forgotten": "logs and failures of jobs that no study wants and that left nothing else",
    "unwanted": "artifacts that no study of the store wants any more; made again only by the study as it was",
}
"""What each reason means, and why what it names is safe to delete."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing to delete."""

    path: Path
    reason: Reason
    what: str
    """For people: the job's label where it is known, else the path in the store."""
    num_bytes: int
    made_in_s: float | None = None
    """Seconds that making it took, as its record tells; None where it is no artifact."""


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """What there is to delete, or was."""

    store: Path
    items: tuple[Item, ...]
    """What is deleted, or would be."""
    kept: tuple[Item, ...]
    """Unwanted artifacts, where they were not asked for."""
    notes: tuple[str, ...]
    """What a reader should know, such as why nothing counts as unwanted."""
    is_deleted: bool

    @property
    def num_bytes(self) -> int:
        return sum(item.num_bytes for item in self.items)


def collect_garbage(store: Store, *, delete: bool = False, unwanted: bool = False) -> Garbage:
    """Finds what nothing needs any more, and deletes it if asked to.

    Wanted is what the plan of any study in STORE/studies names, as that study was last run. Where the store knows no study, or one
    without its plan, nothing counts as unwanted.

    Args:
        store: The store; its lock is held while anything is deleted.
        delete: Delete it.
        unwanted: Count artifacts that no study wants among it. Making them again costs what their records tell, and takes the
            study as it was.

    Raises:
        StoreError: If a plan cannot be read; with `delete`, if a run holds the store or it cannot be written to.
    """
    if not delete:
        return _found(store, unwanted, is_at_work=is_held(store.layout.lock))
    swept = tuple(_trash(store))  # taking the lock deletes it
    with store.lock():
        found = _found(store, unwanted)
        for item in found.items:
            _delete(item, store)
    items = (*(item for item in swept if not item.path.exists()), *found.items)
    return Garbage(store=store.path, items=items, kept=found.kept, notes=found.notes, is_deleted=True)


def _found(store: Store, unwanted: bool, *, is_at_work: bool = False) -> Garbage:
    """With a run at work, what it writes is not to be told from what a crash left: neither is listed."""
    wanted, notes = _wanted(store)
    whole, problems = _whole(store)
    busy = _busy(store)
    artifacts = {} if wanted is None else {key: item for key, item in whole.items() if key[1] not in wanted}
    there = set(store.layout.artifact_keys()) - (artifacts.keys() if unwanted else set())
    items = [
        *_trash(store),
        *(() if is_at_work else _temporaries(store, busy)),
        *(() if is_at_work else _work(store, set(whole), wanted, busy)),
        *_forgotten(store, there, wanted),
        *(artifacts.values() if unwanted else ()),
    ]
    if is_at_work:
        notes.append("a run is under way: work folders and half-written files are not listed until it has ended")
    notes.extend(f"stays as it is: a process that an earlier run left behind still works on {name}" for name in busy)
    return Garbage(
        store=store.path,
        items=tuple(items),
        kept=() if unwanted else tuple(artifacts.values()),
        notes=(*notes, *problems),
        is_deleted=False,
    )


def _wanted(store: Store) -> tuple[set[str] | None, list[str]]:
    """Ids of the jobs that the store's studies want; None, and why, where that is not known."""
    names = store.studies.names()
    if not names:
        return None, ["no study has run in this store, so nothing tells what is wanted: whatever is whole stays"]
    wanted: set[str] = set()
    for name in names:
        plan = store.studies.plan(name)
        ids = [job.get("id") for job in plan if isinstance(job, dict)] if isinstance(plan, list) else []
        if not ids or not all(isinstance(id, str) for id in ids):
            return None, [
                f"study {name} does not tell its jobs: whatever is whole stays. Run it again in this store, which writes them down"
            ]
        wanted.update(str(id) for id in ids)
    return wanted, []


def _whole(store: Store) -> tuple[dict[tuple[str, str], Item], list[str]]:
    """Every whole artifact, and what is to be said of those that are not."""
    found: dict[tuple[str, str], Item] = {}
    problems = []
    for kind, id in store.layout.artifact_keys():
        try:
            record = store.record(kind, id)
        except StoreError as error:
            problems.append(f"stays as it is: {error}")
            continue
        path = store.layout.artifact(kind, id)
        found[kind, id] = Item(
            path=path,
            reason="unwanted",
            what=f"{record.label} ({kind}/{id[:SHORT_DIGITS]})",
            num_bytes=_size(path),
            made_in_s=record.duration_s,
        )
    return found, problems


def _trash(store: Store) -> Iterator[Item]:
    trash = store.layout.trash
    for path in sorted(trash.iterdir()) if trash.is_dir() else ():
        yield _item(store, path, "trash")


def _temporaries(store: Store, busy: Collection[str]) -> Iterator[Item]:
    folders = [store.path, *(store.path / name for name in ("failures", "logs", "report", "work", "artifacts"))]
    folders += [*store.path.glob("studies/*"), *store.path.glob("artifacts/*")]
    for folder in folders:
        for path in sorted(folder.glob(f"{TEMPORARY}*")):
            yield _item(store, path, "temporary")
    for path in sorted(store.path.glob("studies/*/*.new*")):  # of `optuna.db`
        yield _item(store, path, "temporary")
    for path in sorted(store.path.glob(f"work/{BUSY}*")):
        if path.name.removeprefix(BUSY) not in busy:
            yield _item(store, path, "temporary")
    for path in sorted(store.path.glob("work/*/scratch/*.tmp")):  # a checkpoint that was being written
        if path.parent.parent.name not in busy:
            yield _item(store, path, "temporary")


def _work(store: Store, whole: set[tuple[str, str]], wanted: set[str] | None, busy: Collection[str]) -> Iterator[Item]:
    for folder in sorted(store.path.glob("work/*")):
        kind, _, id = folder.name.partition("-")
        if not is_job(kind, id) or folder.name in busy:
            continue
        if (kind, id) in whole:
            yield _item(store, folder, "finished")
        elif wanted is not None and id not in wanted:
            yield _item(store, folder, "unwanted checkpoint")
        elif (folder / "out").exists():
            yield _item(store, folder / "out", "half-made")


def _busy(store: Store) -> list[str]:
    """Work folders of jobs that a process still holds (`job_lock`), though perhaps no run does."""
    held = []
    for path in sorted(store.path.glob(f"work/{BUSY}*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(path.name.removeprefix(BUSY))
        finally:
            os.close(descriptor)
    return held


def _forgotten(store: Store, there: set[tuple[str, str]], wanted: set[str] | None) -> Iterator[Item]:
    if wanted is None:
        return
    for path in sorted((*store.path.glob("failures/*.json"), *store.path.glob("logs/*.log"))):
        kind, _, id = path.stem.partition("-")
        if is_job(kind, id) and id not in wanted and (kind, id) not in there:
            yield _item(store, path, "forgotten")


def _item(store: Store, path: Path, reason: Reason) -> Item:
    return Item(path=path, reason=reason, what=path.relative_to(store.path).as_posix(), num_bytes=_size(path))


def _delete(item: Item, store: Store) -> None:
    if item.path.is_dir() and not item.path.is_symlink():
        store.discard(item.path)
    else:
        item.path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files under a folder; links are not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    sizes = (Path(parent, file).lstat() for parent, _, files in os.walk(path) for file in files)
    return sum(found.st_size for found in sizes if stat.S_ISREG(found.st_mode))
