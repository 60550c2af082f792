"""A run -> STORE/live.json, for whoever asks how far it is from another terminal or machine; and a line of its history.

What cannot be written is logged once and costs nothing else: watching never fails a run.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tunescope.errors import StoreError
from tunescope.execution.events import Event
from tunescope.execution.live.heard import Heard, line_of_killed
from tunescope.execution.runner import Summary
from tunescope.store import Store
from tunescope.store.atomic import TEMPORARY
from tunescope.store.history import RunLine, append_run
from tunescope.store.layout import Layout
from tunescope.store.live import HEARTBEAT_S, read_live
from tunescope.study.job import Job

_LOG = logging.getLogger(__name__)


class LiveBoard:
    """Listens to a run and says what it hears: `with LiveBoard(...) as board: summary = run_plan(..., board.on_event)`.

    Use it inside the store's lock: STORE/live.json is of the one run that holds it. A thread writes the file, at most every
    `interval_s` seconds, and every `HEARTBEAT_S` while nothing happens. A run that was killed earlier and could not say
    so gets its line in the history now.

    Args:
        store: Where the file is written; its lock is held.
        jobs: What `run_plan` is given, with predictions (`estimate`) where the time left is to be told.
        study: Name of the study.
        executor: "inline", "local", "ray".
        num_workers: The executor's.
        shard: "1/3" of a run with --shard.
        interval_s: Seconds between two writings.
        clock: Seconds by a clock that never jumps.
    """

    def __init__(
        self,
        store: Store,
        jobs: Sequence[Job],
        *,
        study: str,
        executor: str,
        num_workers: int,
        shard: str | None = None,
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        layout = Layout(root=store.path)
        self._layout, self._file, self._history = layout, layout.live, layout.runs(study)
        self._interval_s = interval_s
        self._heard = Heard(jobs, study=study, executor=executor, num_workers=num_workers, shard=shard, clock=clock)
        self._changes = threading.Condition()
        """Guards what was heard, and wakes the thread that writes."""
        self._has_changed = self._has_ended = self._has_complained = False
        self._thread = threading.Thread(target=self._keep_writing, name="tunescope live state", daemon=True)

    def __enter__(self) -> Self:
        self._tell_of_killed()
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changes:
            self._has_ended = True
            self._heard.end()
            self._changes.notify()
        self._thread.join()
        self._write()
        if isinstance(
            error, KeyboardInterrupt
        ):  # asked to stop again while it stopped: nobody will call `keep_history`
            with self._changes:
                line = line_of_killed(self._heard.live(), datetime.now(UTC))
            self._append(self._history, line.model_copy(update={"killed": False}))

    def on_event(self, event: Event) -> None:
        """Takes one event; costs microseconds, whatever the disk does."""
        with self._changes:
            self._heard.take(event)
            self._has_changed = True
            self._changes.notify()

    def keep_history(self, summary: Summary) -> None:
        """Adds the run to the study's history, once `run_plan` has returned."""
        with self._changes:
            line = self._heard.line(summary)
        self._append(self._history, line)

    def _keep_writing(self) -> None:
        while True:
            with self._changes:
                self._changes.wait_for(lambda: self._has_changed or self._has_ended, timeout=HEARTBEAT_S)
                if self._has_ended:
                    return
                self._has_changed = False
            self._write()
            with self._changes:
                self._changes.wait_for(lambda: self._has_ended, timeout=self._interval_s)

    def _write(self) -> None:
        with self._changes:
            text = self._heard.live().model_dump_json(indent=1) + "\n"
        temporary = self._file.with_name(f"{TEMPORARY}{self._file.name}-{os.getpid()}")
        try:
            # Whole or not at all, but not synced: after a power cut nothing of it is true anyway.
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, self._file)
        except OSError as error:
            self._complain(
                f"{self._file} cannot be written ({error.strerror}): `tunescope status` does not see this run"
            )
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _tell_of_killed(self) -> None:
        """What a killed run last said becomes its line in the history: nobody else will write it."""
        try:
            before = read_live(self._file)
            if before is None or before.state == "ended":
                return
            history = self._layout.runs(before.study)
            last_sign = datetime.fromtimestamp(self._file.stat().st_mtime, UTC)
        except (StoreError, OSError):  # torn, or of another version: nothing is known of that run
            return
        if history.parent.is_dir():
            self._append(history, line_of_killed(before, last_sign))

    def _append(self, history: Path, line: RunLine) -> None:
        try:
            append_run(history, line)
        except (StoreError, OSError) as error:
            self._complain(f"the history of runs was not kept: {error}")

    def _complain(self, message: str) -> None:
        if not self._has_complained:
            self._has_complained = True
            _LOG.warning(message)
