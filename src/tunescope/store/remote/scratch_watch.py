"""Sends a job's checkpoints to object storage while it runs, so that the death of its machine costs little."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from tunescope.errors import StoreError
from tunescope.store.names import job_name
from tunescope.store.remote.storage import RemoteStore, scratch_state
from tunescope.store.store import Store

_LOG = logging.getLogger(__name__)


class ScratchWatch:
    """While the block runs, a thread looks for new files in the job's scratch folder, and sends them all when there are any.

    A file that only grows, such as the metric log, is no reason to send; it goes with the next checkpoint. What cannot be sent
    is logged and tried again: a failed upload costs no more than the work since the last one that arrived.

    Args:
        remote: Where to.
        store: Where from.
        kind: Of the job.
        id: Of the job.
        every_s: Seconds between looks.
    """

    def __init__(self, remote: RemoteStore, store: Store, kind: str, id: str, *, every_s: float = 2.0) -> None:
        self._remote, self._store, self._kind, self._id, self._every_s = remote, store, kind, id, every_s
        self._scratch = store.path / "work" / job_name(kind, id) / "scratch"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="checkpoints", daemon=True)

    def __enter__(self) -> ScratchWatch:
        self._sent = self._files()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            found = self._files()
            if found <= self._sent:
                continue
            try:
                self._remote.push_scratch(self._store, self._kind, self._id)
                self._sent = found
            except (StoreError, OSError) as error:
                _LOG.warning("the checkpoint of %s/%s was not sent: %s", self._kind, self._id, error)

    def _files(self) -> set[tuple[str, int]]:
        return {(name, inode) for name, (inode, _, _) in scratch_state(self._scratch).items()}
