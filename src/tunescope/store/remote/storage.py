"""A store on object storage: each machine works in a local copy of what it needs, and what is whole is sent and fetched.

The objects have the names that a store's files have: `artifacts/<kind>/<id>/...` with `record.json` sent last, `failures/`,
`logs/`, `studies/`. Checkpoints of a job under way are `work/<kind>-<id>/blobs/<SHA-256>`; `scratch.json` beside them, replaced
last, says which of them make one state.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from tunescope.errors import StoreError
from tunescope.store.atomic import TEMPORARY, sync_folder, write_text, writing_in
from tunescope.store.layout import STORE_FILE, STORE_FORMAT
from tunescope.store.names import SHORT_DIGITS, is_job, job_name, study_name
from tunescope.store.record import RECORD_FILE, Failure, FileEntry, Record, RelativePath
from tunescope.store.remote.lease import PACE, Lease, Pace, leased
from tunescope.store.remote.objects import Objects
from tunescope.store.store import Store
from tunescope.store.whole import file_entry, plain_files, sync_folders

_PULLS_END_WITHIN_S = 86_400.0
_COPIED_BELOW = 16 * 2**20
"""Bytes: smaller files of a scratch folder may grow while they are sent, so they are copied first; larger ones are linked."""
_MANIFEST = TypeAdapter(dict[RelativePath, FileEntry])


def is_url(text: str) -> bool:
    """Whether `--store` names object storage and not a folder."""
    return "://" in text


def cache_folder(url: str) -> Path:
    """This machine's copy of a store on object storage: `$XDG_CACHE_HOME/tunescope/stores/<hash of the URL>`, by default under
    `~/.cache`."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "tunescope" / "stores" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


class RemoteStore:
    """The store at a URL. Methods take the local `Store` that they send from or fetch into. Use `RemoteStore.open`.

    Raises:
        StoreError: From every method, if the storage refuses or does not answer, or holds other bytes than were written.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lease: Lease | None = None

    @property
    def url(self) -> str:
        return self._objects.url

    @classmethod
    def open(cls, url: str, *, create: bool) -> RemoteStore:
        """Opens the store at a URL; `create` makes one where there is none.

        Raises:
            StoreError: If there is none (without `create`), it is of another format, or the storage cannot be used.
        """
        objects = Objects(url)
        found = objects.read(STORE_FILE)
        if found is None and not create:
            raise StoreError(f"there is no store at {url}: name one with --store, or make it with `tunescope run`.")
        if found is None:
            if objects.paths(""):
                raise StoreError(
                    f"{url} is not a tunescope store and not empty: name a new or empty folder with --store."
                )
            objects.write(STORE_FILE, json.dumps({"format": STORE_FORMAT}).encode())
        elif _format(found) != STORE_FORMAT:
            raise StoreError(
                f"the store {url} has format {_format(found)!r}, and this tunescope reads format {STORE_FORMAT}: use the version "
                "of tunescope that made it, or name a new store with --store."
            )
        return cls(objects)

    @contextmanager
    def lock(self, pace: Pace = PACE) -> Iterator[None]:
        """Keeps other runs out while the block runs; see `leased`."""
        with leased(self._objects, pace=pace) as self._lease:
            try:
                yield
            finally:
                self._lease = None

    def check(self) -> None:
        """Raises if the lock was held and is lost: another run took this one for dead.

        Raises:
            StoreError: If so.
        """
        if self._lease is not None:
            self._lease.check()

    def read(self, path: str) -> bytes | None:
        """A file of the store, as it is there; None where there is none."""
        return self._objects.read(path)

    def write(self, path: str, content: bytes) -> None:
        """Sends a file of the store."""
        self._objects.write(path, content)

    # Artifacts and failures

    def has(self, kind: str, id: str) -> bool:
        """Whether an artifact is there, whole: its record is sent last."""
        return self._objects.read(f"artifacts/{kind}/{id}/{RECORD_FILE}") is not None

    def push(self, store: Store, kind: str, id: str) -> None:
        """Sends an artifact; one that is there already stays. A failure that is told of it, and its checkpoints, go."""
        record = store.record(kind, id)
        folder, at = store.read_from(kind, id), f"artifacts/{kind}/{id}"
        if not self.has(kind, id):
            for name, entry in record.files.items():
                self._objects.send(folder / name, f"{at}/{name}", entry)
            self._objects.write(f"{at}/{RECORD_FILE}", (folder / RECORD_FILE).read_bytes())
        self._objects.delete(f"failures/{job_name(kind, id)}.json")
        self._drop_scratch(kind, id)

    def pull(self, store: Store, kind: str, id: str) -> bool:
        """Fetches an artifact, if it is not here yet: whether it now is.

        The record is fetched first and written last; every file's SHA-256 is compared before the folder is renamed into place.
        """
        if store.artifact(kind, id) is not None:
            return True
        at = f"artifacts/{kind}/{id}"
        content = self._objects.read(f"{at}/{RECORD_FILE}")
        if content is None:
            return False
        record = self._record(content, kind, id)
        target = store.path / "artifacts" / kind / id
        with _arriving(store, job_name(kind, id)) as folder:
            for name, entry in record.files.items():
                if not self._objects.fetch(f"{at}/{name}", folder / name, entry):
                    raise StoreError(
                        f"{self.url}/{at} is not whole: {name} is missing. Delete that folder, and run the study again."
                    )
            write_text(folder / RECORD_FILE, content.decode())
            sync_folders(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(
                OSError
            ):  # another process has just fetched it: `artifact` below looks at that one
                os.rename(folder, target)
            sync_folder(target.parent)
        if store.artifact(kind, id) is None:
            raise StoreError(f"cannot rename {at} into place in {store.path}.")
        store.settle(kind, id)
        return True

    def on_both(self, store: Store, kind: str, id: str) -> bool:
        """Whether an artifact is here and there; where it was on one side alone, it is sent or fetched."""
        if not self.pull(store, kind, id):
            return False
        if not self.has(kind, id):
            self.push(store, kind, id)
        return True

    def push_end(self, store: Store, kind: str, id: str, status: Literal["done", "failed", "stopped"]) -> None:
        """Sends what a try of a job left: its artifact, or its failure and its checkpoint; and its log."""
        log = store.log_file(kind, id)
        if log.is_file():
            self._objects.write(f"logs/{log.name}", log.read_bytes())
        if status == "done":
            self.push(store, kind, id)
            return
        self.push_scratch(store, kind, id)
        failure = store.failure(kind, id)
        if failure is not None and status == "failed":
            self._objects.write(f"failures/{job_name(kind, id)}.json", failure.model_dump_json(indent=1).encode())

    def pull_failure(self, store: Store, kind: str, id: str) -> bool:
        """Fetches why a job failed, and its log: whether it did."""
        content = self._objects.read(f"failures/{job_name(kind, id)}.json")
        if content is None:
            return False
        try:
            failure = Failure.model_validate_json(content)
        except ValidationError as error:
            raise StoreError(f"{self.url}/failures/{job_name(kind, id)}.json is torn: delete it.") from error
        store.fail(kind, id, failure)
        self._pull_log(store, kind, id)
        return True

    # Checkpoints of jobs under way

    def push_scratch(self, store: Store, kind: str, id: str) -> None:
        """Sends the checkpoints of a job as they are now: blobs first, then the list of them; older ones go."""
        scratch, at = _work(store, kind, id) / "scratch", f"work/{job_name(kind, id)}"
        names = scratch_state(scratch)
        if not names:
            return
        with _arriving(store, f"scratch-{job_name(kind, id)}") as copy:
            entries = {}
            for name in names:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                if not _taken(scratch / name, copy / name):
                    return  # replaced meanwhile: the next look finds the newer one
                entries[name] = file_entry(copy / name, sync=False)
            if {name: names[name][0] for name in names} != {n: s[0] for n, s in scratch_state(scratch).items()}:
                return
            there = {path.rpartition("/")[2] for path in self._objects.paths(f"{at}/blobs")}
            for name, entry in entries.items():
                if entry.sha256 not in there:
                    self._objects.send(copy / name, f"{at}/blobs/{entry.sha256}", entry)
        content = _MANIFEST.dump_json(entries)
        self._objects.write(f"{at}/scratch.json", content)
        self._remember(store, kind, id, content)
        for digest in there - {entry.sha256 for entry in entries.values()}:
            self._objects.delete(f"{at}/blobs/{digest}")

    def pull_scratch(self, store: Store, kind: str, id: str) -> bool:
        """Fetches the checkpoints of a job that another machine has begun: whether they took the place of those here.

        Those here stay if they go back to the state that is there, which they then are newer than.
        """
        at = f"work/{job_name(kind, id)}"
        content = self._objects.read(f"{at}/scratch.json")
        if content is None or self._is_remembered(store, kind, id, content):
            return False
        try:
            entries = _MANIFEST.validate_json(content)
        except ValidationError as error:
            raise StoreError(
                f"{self.url}/{at}/scratch.json is torn: delete {self.url}/{at}; the job begins anew."
            ) from error
        target = _work(store, kind, id) / "scratch"
        with _arriving(store, f"scratch-{job_name(kind, id)}") as folder:
            for name, entry in entries.items():
                if not self._objects.fetch(f"{at}/blobs/{entry.sha256}", folder / name, entry):
                    return False  # replaced meanwhile by a worker that is still at it
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                shutil.rmtree(target)
            os.rename(folder, target)
        self._remember(store, kind, id, content)
        return True

    # Studies

    def push_study(self, store: Store, name: str) -> None:
        """Sends what is kept of a study besides its jobs."""
        folder = store.path / "studies" / study_name(name)
        for path in plain_files(folder) if folder.is_dir() else ():
            if not Path(path).name.startswith(TEMPORARY):
                self._objects.write(f"studies/{name}/{path}", (folder / path).read_bytes())

    def push_missing(self, store: Store) -> int:
        """Sends the artifacts that are here and not there, because an upload was cut off: how many."""
        there = set(self._objects.paths("artifacts"))
        missing = [one for one in store.records() if f"artifacts/{one.kind}/{one.id}/{RECORD_FILE}" not in there]
        for record in missing:
            self.push(store, record.kind, record.id)
        return len(missing)

    def pull_all(self, store: Store) -> int:
        """Fetches all artifacts, failures and studies that are not here: how many artifacts. For `status` and `report`."""
        number = 0
        for path in self._objects.paths("artifacts"):
            kind, id, name = [*path.split("/")[1:], "", ""][:3]
            if name == RECORD_FILE and is_job(kind, id) and store.artifact(kind, id) is None:
                number += self.pull(store, kind, id)
        for path in self._objects.paths("failures"):
            kind, _, id = path.rpartition("/")[2].removesuffix(".json").partition("-")
            if is_job(kind, id):
                self.pull_failure(store, kind, id)
        for path in self._objects.paths("studies"):
            self._pull_study_file(store, path)
        return number

    # What the above share

    def _record(self, content: bytes, kind: str, id: str) -> Record:
        try:
            record = Record.model_validate_json(content)
        except ValidationError as error:
            raise StoreError(f"{self.url}/artifacts/{kind}/{id}/{RECORD_FILE} is torn: delete that folder.") from error
        if (record.kind, record.id) != (kind, id):
            raise StoreError(
                f"{self.url}/artifacts/{kind}/{id} holds the record of {record.kind}/{record.id[:SHORT_DIGITS]}: delete it."
            )
        return record

    def _pull_log(self, store: Store, kind: str, id: str) -> None:
        log = store.log_file(kind, id)
        content = self._objects.read(f"logs/{log.name}")
        if content is not None:
            log.parent.mkdir(exist_ok=True)
            write_text(log, content.decode(errors="replace"))

    def _pull_study_file(self, store: Store, path: str) -> None:
        _, name, *rest = path.split("/")
        if not rest or any(not part or part.startswith(".") for part in (name, *rest)):
            return
        target = store.path / "studies" / study_name(name) / Path(*rest)
        content = self._objects.read(path)
        if content is None:
            return
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise StoreError(f"{self.url}/{path} is no text: delete it, and run the study again.") from error
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, text)

    def _drop_scratch(self, kind: str, id: str) -> None:
        paths = self._objects.paths(f"work/{job_name(kind, id)}")
        for path in sorted(paths, key=lambda path: "/blobs/" in path):  # the list first: it must not name what has gone
            self._objects.delete(path)

    def _remember(self, store: Store, kind: str, id: str, manifest: bytes) -> None:
        (_work(store, kind, id) / "scratch").mkdir(parents=True, exist_ok=True)
        write_text(_work(store, kind, id) / "sent", hashlib.sha256(manifest).hexdigest())

    def _is_remembered(self, store: Store, kind: str, id: str, manifest: bytes) -> bool:
        try:
            told = (_work(store, kind, id) / "sent").read_text(encoding="ascii")
        except FileNotFoundError:
            return False
        return told == hashlib.sha256(manifest).hexdigest()


def scratch_state(scratch: Path) -> dict[str, tuple[int, int, int]]:
    """Name -> inode, size and time of change (ns) of a scratch folder's files, half-written ones left out."""
    found = {}
    for parent, _, files in os.walk(scratch):
        for file in files:
            if file.startswith(TEMPORARY) or file.endswith(".tmp"):
                continue
            with contextlib.suppress(FileNotFoundError):
                stat = os.lstat(Path(parent, file))
                found[Path(parent, file).relative_to(scratch).as_posix()] = (
                    stat.st_ino,
                    stat.st_size,
                    stat.st_mtime_ns,
                )
    return dict(sorted(found.items()))


def _taken(path: Path, copy: Path) -> bool:
    """Whether a file could be copied, or linked where it is large, before it was replaced."""
    try:
        if path.stat().st_size < _COPIED_BELOW:
            shutil.copyfile(path, copy)
        else:
            os.link(path, copy)
    except FileNotFoundError:
        return False
    return True


def _work(store: Store, kind: str, id: str) -> Path:
    return store.path / "work" / job_name(kind, id)


def _format(content: bytes) -> object:
    try:
        return json.loads(content)["format"]
    except (ValueError, KeyError, TypeError):
        return "torn"


@contextmanager
def _arriving(store: Store, name: str) -> Iterator[Path]:
    """A folder on the store's disk for what is not whole yet; those that a crash left a day ago are deleted."""
    work = store.path / "work"
    for old in work.glob(".arriving-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > _PULLS_END_WITHIN_S:
                shutil.rmtree(old, ignore_errors=True)
    folder = work / f".arriving-{name}-{os.getpid()}-{secrets.token_hex(4)}"
    with writing_in(store.path):
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
