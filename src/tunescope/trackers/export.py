"""Tells one tracker all that a store knows of a study's runs, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunescope.errors import StoreError
from tunescope.store import Store
from tunescope.store.layout import Layout
from tunescope.trackers.ledger import Ledger
from tunescope.trackers.subjects import JobRef, Subject
from tunescope.trackers.told import told_run
from tunescope.trackers.tracker import Tracker

What = Literal["told", "unchanged", "not begun", "not whole"]
"""`unchanged`: the tracker has it as it is. `not begun`: there is nothing to tell. `not whole`: the artifact is damaged."""

_Seen = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What became of one run."""

    name: str
    what: What
    num_points: int = 0
    reason: str = ""


class Export:
    """A study's runs, told to one tracker as often as asked: what has not changed since is not even read."""

    def __init__(
        self,
        tracker: Tracker,
        subjects: Sequence[Subject],
        store: Store,
        *,
        study: str,
        folder: Path,
        tags: Sequence[str] = (),
    ) -> None:
        self._tracker, self._subjects, self._store = tracker, subjects, store
        self._study, self._tags = study, tags
        self._layout = Layout(root=store.path)
        self._ledger = Ledger(folder, tracker.target)
        self._seen: dict[str, _Seen] = {}
        self._settled: dict[str, Telling] = {}

    def tell_all(self, *, unfinished: bool, is_stopped: Callable[[], bool] = lambda: False) -> Iterator[Telling]:
        """Tells what there is to tell now.

        Args:
            unfinished: Whether runs under way are told as well.
            is_stopped: Asked between runs.
        """
        for subject in self._subjects:
            if is_stopped():
                return
            seen = self._look(subject)
            if self._seen.get(subject.job.id) == seen:
                if subject.job.id in self._settled:
                    yield self._settled[subject.job.id]
                continue
            telling = self._tell(subject, unfinished=unfinished)
            if telling is not None:
                self._seen[subject.job.id] = seen
                self._settled[subject.job.id] = telling
                yield telling

    def _tell(self, subject: Subject, *, unfinished: bool) -> Telling | None:
        """Tells one run; None where it is left for later."""
        try:
            run = told_run(subject, self._store, self._study, self._tags)
        except StoreError as error:
            return Telling(name=subject.label, what="not whole", reason=str(error))
        if run is None:
            return Telling(name=subject.label, what="not begun")
        if not run.is_over and not unfinished:
            return None
        told = self._ledger.told(run)
        is_there = told is not None and self._tracker.has(run)
        if told is not None and is_there and told.sha256 == run.digest():
            return Telling(name=run.name, what="unchanged", num_points=len(run.points))
        goes_on = told is not None and is_there and told.points_sha256 == run.points_digest(told.num_points)
        with self._ledger.telling(run):
            self._tracker.tell(run, told.num_points if told is not None and goes_on else 0)
        return Telling(name=run.name, what="told", num_points=len(run.points))

    def _look(self, subject: Subject) -> _Seen:
        """When each file that a run is told from was last written, and its size: cheap enough to ask every few seconds."""
        job = subject.job
        files = [self._layout.work(job.kind, job.id) / "scratch" / "log.jsonl", self._layout.failure(job.kind, job.id)]
        for one in (job, subject.evaluate, subject.drift, subject.retention, subject.select):
            if one is not None:
                files.append(self._record(one))
        return tuple(_state(file) for file in files)

    def _record(self, job: JobRef) -> Path:
        return self._layout.artifact(job.kind, job.id) / "record.json"


def _state(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size
