"""A folder of artifacts: what is kept is whole, is found again by what it is, and says how it came about."""

from __future__ import annotations

import errno
import os
import platform
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store import provenance
from tunescope.store.atomic import nearest_folder, sync_folder, write_json, write_text, writing_in
from tunescope.store.identity import canonical_json, content_id
from tunescope.store.layout import Layout, open_layout
from tunescope.store.lock import held
from tunescope.store.names import SHORT_DIGITS
from tunescope.store.record import RECORD_FILE, RECORD_FORMAT, Failure, Record, RecordFields
from tunescope.store.studies import Studies
from tunescope.store.whole import (
    NotWholeError,
    check_bytes,
    check_hashes,
    check_sizes,
    file_entry,
    plain_files,
    read_record,
    sync_folders,
)

_MIN_PREFIX = 4


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job under way: what it makes, and what it needs on the way and keeps across a crash."""

    kind: str
    id: str
    out: Path
    """Becomes the artifact; empty when the job begins."""
    scratch: Path
    """Checkpoints; kept until the job is done, so that it goes on where it was cut off."""


class Store:
    """Artifacts under one folder, by kind and id. Reading needs nothing; what changes a store wants `lock`.

    Use `Store.open`. Any number of processes may read while one run writes: an artifact is there only when whole.
    """

    def __init__(self, layout: Layout) -> None:
        self.path = layout.root
        self.layout = layout
        """Where things lie, for what works on whole stores: merge and gc."""
        self._lock_depth = 0
        self.studies = Studies(layout)
        """What is kept of studies besides their jobs."""

    @classmethod
    def open(cls, path: Path, *, create: bool) -> Store:
        """Opens the store in a folder.

        Args:
            path: The store's folder.
            create: Make a store where there is none, and make sure that it can be written to. Without it nothing is
                written, so a store on a read-only disk can be read.

        Raises:
            StoreError: If the path is a file, another folder that is not empty, a store of another format, absent (without
                `create`) or not writable (with it).
        """
        return cls(open_layout(path, create=create))

    # Reading

    def artifact(self, kind: str, id: str) -> Path | None:
        """The folder of an artifact, or None where there is none. Checks its record and the sizes of its files.

        Raises:
            StoreError: If it is there and not whole.
        """
        folder = self.layout.artifact(kind, id)
        if not folder.exists():
            return None
        self._checked_record(kind, id)
        return folder

    def record(self, kind: str, id: str) -> Record:
        """What is known of an artifact.

        Raises:
            StoreError: If the artifact is absent or not whole (sizes are checked).
        """
        if not self.layout.artifact(kind, id).exists():
            raise StoreError(f"there is no artifact {kind}/{id[:SHORT_DIGITS]} in {self.path}.")
        return self._checked_record(kind, id)

    def records(self, kind: str | None = None) -> Iterator[Record]:
        """The records of all artifacts, or of all of one kind, sorted by kind and id.

        Raises:
            StoreError: At the first artifact that is not whole.
        """
        for found_kind, id in self.layout.artifact_keys():
            if kind is None or kind == found_kind:
                yield self._checked_record(found_kind, id)

    def verify(self, kind: str, id: str) -> None:
        """Reads every byte of an artifact and compares it with its record.

        Raises:
            StoreError: If the artifact is absent, or anything in it differs from what was written.
        """
        record = self.record(kind, id)
        try:
            check_bytes(self.layout.artifact(kind, id), record)
        except NotWholeError as error:
            raise self._not_whole(kind, id, error) from error

    def read_from(self, kind: str, id: str, *names: str) -> Path:
        """The folder of an artifact whose files, all or those named, hold what was written; each is hashed once per process.

        Raises:
            StoreError: If the artifact is absent, or a file differs from its record.
        """
        record, folder = self.record(kind, id), self.layout.artifact(kind, id)
        try:
            check_hashes(folder, record, names or None)
        except NotWholeError as error:
            raise self._not_whole(kind, id, error) from error
        return folder

    def failure(self, kind: str, id: str) -> Failure | None:
        """Why a job failed when it last ran; None if it did not fail, or has succeeded since.

        Raises:
            StoreError: If the file that says so cannot be read.
        """
        path = self.layout.failure(kind, id)
        try:
            return Failure.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StoreError(f"{path} is torn: delete it, and run the study again to see why the job fails.") from error

    def log_file(self, kind: str, id: str) -> Path:
        """The plain text log of a job, which may not exist yet."""
        return self.layout.log(kind, id)

    def free_gib(self) -> float:
        """Free space on the store's disk, GiB."""
        return shutil.disk_usage(nearest_folder(self.path)).free / 2**30

    # Writing

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other runs out while the block runs; may be nested. Sweeps what a crash left half deleted.

        Raises:
            StoreError: If another process (or another `Store` of this one) holds the lock, saying which.
        """
        if self._lock_depth:
            self._lock_depth += 1
            try:
                yield
            finally:
                self._lock_depth -= 1
            return
        with held(self.layout.lock):
            self._lock_depth = 1
            try:
                shutil.rmtree(self.layout.trash, ignore_errors=True)  # nothing reads it; what stays is swept next time
                yield
            finally:
                self._lock_depth = 0
                with suppress(OSError):
                    self.layout.trash.rmdir()  # where nothing is left in it

    def begin(self, kind: str, id: str) -> Work:
        """Makes a job's work folder, or takes the one an earlier try left: its scratch is kept, its output is not.

        Raises:
            StoreError: If the disk is full or the store not writable.
        """
        folder = self.layout.work(kind, id)
        work = Work(kind=kind, id=id, out=folder / "out", scratch=folder / "scratch")
        with writing_in(folder.parent):
            if work.out.exists():
                self.discard(work.out)
            work.scratch.mkdir(parents=True, exist_ok=True)
            work.out.mkdir()
        return work

    def commit(self, work: Work, fields: RecordFields) -> Path:
        """Turns a job's output into its artifact and clears its work folder; an artifact that is there already stays.

        Every file is hashed and synced, the record is written last, and then the folder is renamed into place: a crash
        at any moment leaves either no artifact or a whole one.

        Returns:
            The artifact's folder.

        Raises:
            StoreError: If a fact is no JSON, the output holds a link, the disk is full, or the artifact that is there
                already is not whole.
        """
        asked = content_id(work.kind, fields.config, fields.inputs)
        assert asked == work.id, f"{work.kind}/{work.id} is committed with what makes it {work.kind}/{asked}"
        target = self.layout.artifact(work.kind, work.id)
        with writing_in(self.path):
            if self.artifact(work.kind, work.id) is None:
                write_text(work.out / RECORD_FILE, self._new_record(work, fields).model_dump_json(indent=1) + "\n")
                self.adopt(work.out, work.kind, work.id)
        self.settle(work.kind, work.id)
        return target

    def adopt(self, folder: Path, kind: str, id: str) -> None:
        """Renames a whole artifact into place, its files synced and its record in it; one that is there already stays.

        Args:
            folder: On the store's file system; stays where it is if the artifact is there already.
            kind: The artifact's.
            id: The artifact's.

        Raises:
            StoreError: If the disk is full or the store not writable.
        """
        target = self.layout.artifact(kind, id)
        with writing_in(self.path):
            sync_folders(folder)
            self._folder_of_kind(kind)
            try:
                os.rename(folder, target)
            except OSError as error:
                # Another process has just made the same artifact: the first one stays.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or self.artifact(kind, id) is None:
                    raise
            sync_folder(target.parent)

    def settle(self, kind: str, id: str) -> None:
        """Deletes what a job needs no longer once its artifact is whole: its work folder, its lock and an earlier failure.

        Part of `commit`; after a crash in between, the next run that finds the artifact does it.
        """
        folder = self.layout.work(kind, id)
        if folder.exists():
            self.discard(folder)
        for file in (self.layout.busy(kind, id), self.layout.failure(kind, id)):
            file.unlink(missing_ok=True)

    def fail(self, kind: str, id: str, failure: Failure) -> None:
        """Keeps why a job failed and its scratch, from which a retry goes on; what it had made so far is deleted.

        Raises:
            StoreError: If the disk is full or the store not writable.
        """
        path = self.layout.failure(kind, id)
        out = self.layout.work(kind, id) / "out"
        with writing_in(path.parent):
            if out.exists():
                self.discard(out)  # first: on a full disk it makes room for the reason
            path.parent.mkdir(exist_ok=True)
            write_json(path, failure.model_dump(mode="json"))

    def forget(self, prefix: str) -> list[str]:
        """Deletes the artifact, work folder, failure and log of the job whose id starts with `prefix`. Takes the lock.

        Args:
            prefix: The first four hex digits of the id, or more; `<kind>/` may stand before them.

        Returns:
            What was deleted, as "<kind>/<id>"; the next run makes it anew.

        Raises:
            StoreError: If the prefix is too short, fits no job or several, or another run holds the lock.
        """
        kind_asked, slash, digits = prefix.rpartition("/")
        if len(digits) < _MIN_PREFIX or set(digits) - set("0123456789abcdef") or (slash and not kind_asked):
            raise StoreError(
                f"forget {prefix!r}: expected the first {_MIN_PREFIX} or more hex digits of a job's id, such as 3f9c2a81 or "
                "evaluate/3f9c2a81."
            )
        with self.lock():
            known = self.layout.known_keys()
            found = sorted(key for key in known if key[1].startswith(digits) and kind_asked in ("", key[0]))
            if not found:
                some = ", ".join(sorted(f"{kind}/{id[:SHORT_DIGITS]}" for kind, id in known)[:10])
                raise StoreError(
                    f"forget {prefix}: no job of {self.path} has an id that starts so. "
                    f"It holds {len(known)}{': ' + some if some else ''}{', ...' if len(known) > 10 else ''}."
                )
            if len(found) > 1:
                names = ", ".join(f"{kind}/{id}" for kind, id in found)
                raise StoreError(
                    f"forget {prefix}: {len(found)} jobs have an id that starts so: {names}. Give more digits."
                )
            kind, id = found[0]
            for folder in (self.layout.artifact(kind, id), self.layout.work(kind, id)):
                if folder.exists():
                    self.discard(folder)
            for file in (self.layout.failure(kind, id), self.log_file(kind, id)):
                file.unlink(missing_ok=True)
        return [f"{kind}/{id}"]

    def discard(self, folder: Path) -> None:
        """Deletes a folder of the store. It is renamed first: a crash must not leave half where a whole one is looked for.

        Raises:
            StoreError: If the store is not writable.
        """
        trash = self.layout.trash
        with writing_in(folder.parent):
            doomed = trash / f"{folder.parent.name}-{folder.name}-{os.getpid()}-{time.time_ns()}"
            trash.mkdir(parents=True, exist_ok=True)
            try:
                os.rename(folder, doomed)
            except FileNotFoundError:  # a command that took or left the lock in between has swept the trash
                trash.mkdir(parents=True, exist_ok=True)
                os.rename(folder, doomed)
            shutil.rmtree(doomed)

    # What the above share

    def _folder_of_kind(self, kind: str) -> None:
        folder = self.path / "artifacts" / kind
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
            sync_folder(self.path)

    def _checked_record(self, kind: str, id: str) -> Record:
        folder = self.layout.artifact(kind, id)
        try:
            record = read_record(folder)
            if (record.kind, record.id) != (kind, id):
                raise NotWholeError(f"its record is of {record.kind}/{record.id[:SHORT_DIGITS]}", record.label)
            check_sizes(folder, record)
        except NotWholeError as error:
            raise self._not_whole(kind, id, error) from error
        return record

    def _not_whole(self, kind: str, id: str, error: NotWholeError) -> StoreError:
        short = id[:SHORT_DIGITS]
        label = f" ({error.label})" if error.label else ""
        return StoreError(
            f"artifact {kind}/{short}{label} is not whole: {error.what}. "
            f"Rebuild: tunescope forget {short} --store {shlex.quote(str(self.path))}"
        )

    def _new_record(self, work: Work, fields: RecordFields) -> Record:
        canonical_json({"facts": dict(fields.facts)})
        try:
            names = plain_files(work.out)
        except NotWholeError as error:
            raise StoreError(
                f"the output of {work.kind}/{work.id[:SHORT_DIGITS]} ({fields.label}): {error.what}."
            ) from error
        assert RECORD_FILE not in names, f"the step of {work.kind}/{work.id} wrote a {RECORD_FILE}; the store does that"
        commit, dirty = provenance.checkout_state()
        return Record(
            format=RECORD_FORMAT,
            kind=work.kind,
            id=work.id,
            label=fields.label,
            config=dict(fields.config),
            inputs=dict(fields.inputs),
            files={name: file_entry(work.out / name, sync=True) for name in names},
            facts=dict(fields.facts),
            versions=provenance.library_versions(),
            python=platform.python_version(),
            commit=commit,
            dirty=dirty,
            machine=provenance.this_machine(),
            started_at=fields.started_at,
            duration_s=fields.duration_s,
            peak_memory_gib=fields.peak_memory_gib,
            peak_memory_covers=fields.peak_memory_covers,
            memory_at_start_gib=fields.memory_at_start_gib,
            gpu_peak_allocated_gib=fields.gpu_peak_allocated_gib,
            gpu_peak_reserved_gib=fields.gpu_peak_reserved_gib,
            worker=fields.worker,
            attempts=fields.attempts,
            telemetry=fields.telemetry,
        )
