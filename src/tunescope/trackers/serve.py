"""The process that tells a tracker: `python -m tunescope.trackers.serve FD`, asked on stdin, answering lines of JSON on stdout.

It stands alone so that a library that hangs, fails, starts services or changes its process can do no harm to a run. FD is a
pipe from the command that wants it: a byte there means "tell what is left, then end"; its end means that the command is
gone, and so is this process after the run that it is telling.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Self, TextIO

from tunescope.fields import Frozen
from tunescope.store import Store
from tunescope.store.layout import Layout
from tunescope.study.trackers import TrackerName, Trackers
from tunescope.trackers.export import Export
from tunescope.trackers.ledger import alone
from tunescope.trackers.subjects import Subject
from tunescope.trackers.tracker import open_tracker

_PATIENCE_S = 30.0
"""For an earlier exporter of the same store to end."""


class Asked(Frozen):
    """What is to be told, and where."""

    store: str
    study: str
    tracker: TrackerName
    trackers: Trackers
    """Of the study; of these `tracker` is told."""
    subjects: tuple[Subject, ...]
    every_s: float
    """Seconds between two looks at the store."""


def serve(asked: Asked, control: int, answers: TextIO) -> None:
    """Tells until it is asked to end.

    Args:
        asked: What is to be told.
        control: Descriptor of the pipe's reading end.
        answers: Gets a line of JSON per run that was told or could not be.
    """
    settings = asked.trackers.wanted()[asked.tracker]
    folder = Layout(root=Path(asked.store)).exports(asked.tracker)
    with alone(folder, patience_s=_PATIENCE_S):
        tracker = open_tracker(settings, study=asked.study, folder=folder)
        tags = getattr(settings, "tags", ())
        store = Store.open(Path(asked.store), create=False)
        export = Export(tracker, asked.subjects, store, study=asked.study, folder=folder, tags=tags)
        orders = Orders(control)
        is_last = False
        while not (is_last or orders.is_abandoned):
            orders.listen(0.0)
            is_last, began = orders.is_last, time.monotonic()
            for telling in export.tell_all(
                unfinished=is_last or tracker.shows_unfinished, is_stopped=lambda: orders.listen(0.0).is_abandoned
            ):
                if is_last or telling.what == "told":
                    _answer(answers, {"is_last": is_last} | vars(telling))
            if not (is_last or orders.is_last):
                orders.listen(max(0.0, asked.every_s - (time.monotonic() - began)))
        tracker.close()
        _answer(answers, {"ended": not orders.is_abandoned})


class Orders:
    """What the command that wants the export has said so far."""

    def __init__(self, control: int) -> None:
        self._control = control
        self.is_last = False
        """Whether what is left is to be told, and then no more."""
        self.is_abandoned = False
        """Whether the command is gone."""

    def listen(self, seconds: float) -> Self:
        """Waits for an order, so many seconds at most."""
        if not self.is_abandoned and select.select([self._control], [], [], seconds)[0]:
            said = os.read(self._control, 16)
            self.is_last |= bool(said)
            self.is_abandoned |= not said
        return self


def _answer(answers: TextIO, line: dict[str, object]) -> None:
    answers.write(json.dumps(line) + "\n")
    answers.flush()


def main() -> None:
    """Takes the request, keeps libraries from writing among the answers, and serves."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        serve(Asked.model_validate_json(sys.stdin.read()), int(sys.argv[1]), answers)
    except BaseException as error:
        _answer(answers, {"failed": str(error) or type(error).__name__, "kind": type(error).__name__})
        raise


if __name__ == "__main__":
    main()
