"""A study's trackers while it runs: told what the store learns, and never in its way."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from tunescope.errors import StoreError
from tunescope.store import Store
from tunescope.study.plan import Plan
from tunescope.study.trackers import Trackers
from tunescope.trackers.exporter import Exported, Exporter
from tunescope.trackers.serve import Asked
from tunescope.trackers.subjects import subjects_of
from tunescope.trackers.tracker import TrackerError

EVERY_S = 10.0
"""Seconds between two looks at the store."""
PATIENCE_S = 60.0
"""What the trackers together may take to tell the rest, once all jobs have ended."""


class LiveExport:
    """Tells the trackers that a study names, each from a process of its own, from `start` to `finish`.

    The processes look at the store themselves, logs of jobs under way included, wherever those run: nobody needs to tell them
    of jobs, and nothing that they do, or do not do, reaches the run.
    """

    def __init__(self, plan: Plan, store: Store, trackers: Trackers, *, every_s: float = EVERY_S) -> None:
        """Starts nothing yet.

        Args:
            plan: Of the study.
            store: Where its jobs are kept.
            trackers: What the study names.
            every_s: Seconds between two looks at the store.
        """
        self._plan, self._store, self._trackers, self._every_s = plan, store, trackers, every_s
        self._exporters: list[Exporter] = []
        self._problems: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Starts a process per tracker; none where the study names no tracker."""
        wanted = self._trackers.wanted()
        if not wanted:
            return
        subjects = tuple(subjects_of(self._plan))
        for name in wanted:
            asked = Asked(
                store=str(self._store.path.absolute()),
                study=self._plan.study.name,
                tracker=name,
                trackers=self._trackers,
                subjects=subjects,
                every_s=self._every_s,
            )
            try:
                self._exporters.append(Exporter(asked))
            except (OSError, StoreError) as error:
                self._problems.append(f"{name}: {error}")

    def finish(self, timeout_s: float = PATIENCE_S) -> tuple[list[Exported], list[str]]:
        """Has the trackers told the rest, and ends their processes.

        Args:
            timeout_s: Seconds that all of them together may take; what is left then is for `tunescope export`.

        Returns:
            What each was told, and a warning for each that failed: why, and the command that exports later.
        """
        exported: list[Exported] = []
        for exporter in self._exporters:
            exporter.ask_for_rest()
        until = time.monotonic() + timeout_s
        for exporter in self._exporters:
            try:
                exported.append(exporter.finish(max(0.0, until - time.monotonic())))
            except TrackerError as error:
                self._problems.append(str(error))
        self._exporters.clear()
        study = self._store.studies.folder(self._plan.study.name)
        warnings = [
            f"{problem.rstrip('.')}. The results are whole; to export them: "
            f"tunescope export {study} --to {problem.partition(':')[0]}"
            for problem in self._problems
        ]
        self._problems.clear()
        return exported, warnings

    def kill(self) -> None:
        """Ends the processes at once; what they did not tell is told by the next run, or by `tunescope export`."""
        for exporter in self._exporters:
            exporter.kill()
        self._exporters.clear()
