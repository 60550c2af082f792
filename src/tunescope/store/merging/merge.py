"""Several stores -> one: every file verified, copied or there before; nothing of the sources changed, all of it or nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tunescope.errors import StoreError
from tunescope.store.atomic import nearest_folder, writing_in
from tunescope.store.merging.choice import Choice, Copy, Key, choose, named
from tunescope.store.merging.copying import copy_artifact
from tunescope.store.merging.reading import kept_as_it_is
from tunescope.store.merging.rest import Rest, add_rest, bytes_of_checkpoints, read_rest
from tunescope.store.merging.studies import StudiesToMerge, add_studies, read_studies
from tunescope.store.names import SHORT_DIGITS
from tunescope.store.store import Store
from tunescope.store.whole import NotWholeError

_ROOM = 1.01
"""Of the bytes to copy, how many must be free: folders and half-filled blocks take some."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a merge came to."""

    into: Path
    num_copied: int
    """Artifacts."""
    bytes_copied: int
    """Of artifacts and checkpoints."""
    num_there: int
    """Artifacts that were in the destination already, as the sources have them."""
    studies: tuple[str, ...]
    """Studies of the sources, sorted."""
    num_runs: int
    """Run commands added to the studies' histories."""
    num_failures: int
    num_logs: int
    """Logs that are new or have grown."""
    checkpoints: tuple[str, ...]
    """Unfinished jobs whose checkpoints were carried over."""
    preferred: tuple[str, ...]
    """Jobs whose files differed, and of which the preferred store's copy was taken."""
    differing: tuple[str, ...]
    """Jobs that each machine makes for itself, from the same bytes, whose files differ: the first store's copy was taken."""
    left_out: tuple[str, ...]
    """Jobs made from a copy that was not taken: the next run makes them anew."""


@dataclass
class _Counts:
    num_copied: int = 0
    bytes_copied: int = 0
    checkpoints: list[str] = field(default_factory=list)


def merge_stores(
    sources: Sequence[Path], into: Path, *, prefer: Path | None = None, may_differ: Collection[str] = ()
) -> Merged:
    """Joins stores. Asked again it copies nothing; interrupted and asked again it goes on.

    Artifacts, studies, histories, failures of jobs that nobody has done, logs, and the checkpoints of jobs that nobody has
    finished are carried over. Reports and what trackers were told are not: both are made anew from the merged store.

    Args:
        sources: Folders of stores. Nothing in them is changed; a run on one of them is kept out meanwhile.
        into: The store to join them in, which may be new.
        prefer: One of the stores: where two hold different files of one job, or tell a study differently, its copy is taken.
        may_differ: Kinds of job that every machine makes for itself: made from the same bytes, their files may differ in the
            last digits where machines do, which is told and refused no more.

    Raises:
        StoreError: If a store cannot be read or is in use; if stores hold different files of one job or differ in what a study
            is (all of it is named); if anything of a source is damaged; or if the disk is full. Nothing of the sources is in
            the destination then, unless the disk filled up in the very last step: the same command goes on from there.
    """
    folders = _sources(sources, into, prefer)
    with ExitStack() as stack:
        kept = [Store.open(folder, create=False) for folder in folders]
        for store in kept:
            stack.enter_context(kept_as_it_is(store.layout))
        there = _destination(into)
        if there is not None:
            stack.enter_context(there.lock())
        everyone = ([] if there is None else [there]) + kept
        preferred = None if prefer is None else _named_store(everyone, prefer)
        choice, studies, rest = _surveyed(everyone, there, preferred, may_differ)
        to_copy = [copy for copy in choice.copies.values() if copy.store is not there]
        _check_room(into, to_copy, rest)
        _check_whole([copy for copy in choice.copies.values() if copy.store is there])
        if there is None:
            there = Store.open(into, create=True)
            stack.enter_context(there.lock())
        counts = _copied(to_copy, there, rest)
        num_runs = add_studies(studies, there)
        num_failures, num_logs = add_rest(rest, there)
    return Merged(
        into=into,
        num_copied=counts.num_copied,
        bytes_copied=counts.bytes_copied,
        num_there=len(choice.copies) - counts.num_copied,
        studies=tuple(sorted(studies.texts)),
        num_runs=num_runs,
        num_failures=num_failures,
        num_logs=num_logs,
        checkpoints=tuple(counts.checkpoints),
        preferred=choice.preferred,
        differing=choice.differing,
        left_out=choice.left_out,
    )


def _sources(sources: Sequence[Path], into: Path, prefer: Path | None) -> list[Path]:
    """The folders to read, each once; the destination may stand among them."""
    target = into.resolve()
    folders = {folder.resolve(): folder for folder in sources}
    folders.pop(target, None)
    if not folders:
        raise StoreError(f"merge: expected one or more stores besides {into}, which they are joined in.")
    for resolved, folder in folders.items():
        if target.is_relative_to(resolved):
            raise StoreError(f"merge: {into} lies in the store {folder}, which is only read. Name a folder elsewhere.")
    if prefer is not None and prefer.resolve() not in {*folders, target}:
        some = ", ".join(str(folder) for folder in (*folders.values(), into))
        raise StoreError(f"merge: --prefer {prefer} is none of the stores: {some}.")
    return list(folders.values())


def _destination(into: Path) -> Store | None:
    """The store that is there; None where one is to be made."""
    is_there = into.exists() and (not into.is_dir() or any(into.iterdir()))
    return Store.open(into, create=True) if is_there else None


def _named_store(stores: Iterable[Store], path: Path) -> Store | None:
    return next((store for store in stores if store.path.resolve() == path.resolve()), None)


def _surveyed(
    stores: Sequence[Store], there: Store | None, preferred: Store | None, may_differ: Collection[str]
) -> tuple[Choice, StudiesToMerge, Rest]:
    """What is to be copied from where, by the records alone; raises at everything that keeps stores from being joined."""
    copies: dict[Key, list[Copy]] = {}
    problems = []
    for store in stores:
        for kind, id in store.layout.artifact_keys():
            try:
                copies.setdefault((kind, id), []).append(Copy(store=store, record=store.record(kind, id)))
            except StoreError as error:
                problems.append(str(error))
    if problems:
        raise StoreError("\n".join([*problems, "Nothing was copied."]))
    choice = choose(copies, there=there, preferred=preferred, may_differ=may_differ)
    studies = read_studies(stores, preferred)
    problems = [*choice.problems, *studies.problems]
    if problems:
        hint = "" if preferred is not None else " Or take one store's copy of all that differs: --prefer STORE."
        raise StoreError("\n".join([*problems, f"Nothing was copied.{hint}"]))
    return choice, studies, read_rest(stores, there, set(choice.copies))


def _check_room(into: Path, to_copy: Sequence[Copy], rest: Rest) -> None:
    needed = sum(entry.num_bytes for copy in to_copy for entry in copy.record.files.values())
    needed += bytes_of_checkpoints(rest)
    free = shutil.disk_usage(nearest_folder(into)).free
    if needed * _ROOM > free:
        raise StoreError(
            f"merge: {needed / 2**30:.2f} GiB are to be copied to {into}, and {free / 2**30:.2f} GiB are free there. Nothing was "
            "copied. Free some space, or name a folder on another disk with --into."
        )


def _check_whole(copies: Iterable[Copy]) -> None:
    """Reads what the destination holds already: what was joined before is not taken for whole because it is there."""
    damaged = []
    for copy in copies:
        try:
            copy.store.verify(copy.record.kind, copy.record.id)
        except StoreError as error:
            damaged.append(str(error))
    if damaged:
        raise StoreError("\n".join([*damaged, "Nothing was copied."]))


def _copied(to_copy: Sequence[Copy], there: Store, rest: Rest) -> _Counts:
    """Copies everything aside, and puts it in place only when all of it is verified."""
    # In the trash: what a crash leaves there, whoever next takes the lock sweeps.
    aside = there.layout.trash / f"merge-{os.getpid()}-{time.time_ns()}"
    counts, damaged = _Counts(), []
    try:
        with writing_in(there.path):
            for copy in to_copy:
                record = copy.record
                folder = copy.store.layout.artifact(record.kind, record.id)
                try:
                    counts.bytes_copied += copy_artifact(folder, record, aside / record.kind / record.id)
                except NotWholeError as error:
                    damaged.append(_damaged(copy, error))
            for checkpoint in rest.checkpoints:
                counts.bytes_copied += checkpoint.copy_to(aside / "work" / checkpoint.name)
        if damaged:
            raise StoreError("\n".join([*damaged, "Nothing was copied."]))
        for copy in to_copy:
            kind, id = copy.record.kind, copy.record.id
            if there.layout.artifact(kind, id).exists():
                there.discard(there.layout.artifact(kind, id))  # the preferred copy comes in its place
            there.adopt(aside / kind / id, kind, id)
            there.settle(kind, id)
            counts.num_copied += 1
        for checkpoint in rest.checkpoints:
            work = there.layout.work(checkpoint.kind, checkpoint.id)
            if work.exists():
                there.discard(work)
            with writing_in(there.path):
                os.rename(aside / "work" / checkpoint.name, work)
            counts.checkpoints.append(named(checkpoint.kind, checkpoint.id))
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return counts


def _damaged(copy: Copy, error: NotWholeError) -> str:
    record = copy.record
    short = record.id[:SHORT_DIGITS]
    return (
        f"artifact {record.kind}/{short} ({record.label}) of {copy.store.path} is not whole: {error.what}. Rebuild: tunescope "
        f"forget {short} --store {shlex.quote(str(copy.store.path))}, and run the study there, or merge without it and run it after."
    )
