"""What runs now, sent to object storage while it runs, for whoever asks from another machine with nothing but the URL."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from types import TracebackType

from pydantic import ValidationError

from tunescope.errors import StoreError
from tunescope.store.atomic import write_text
from tunescope.store.live import Live
from tunescope.store.remote.storage import RemoteStore
from tunescope.store.store import Store

_LOG = logging.getLogger(__name__)
EVERY_S = 10.0
"""Well below `live.STALE_AFTER_S`; a request each."""


class LiveMirror:
    """While the block runs, a thread sends the store's live.json whenever it has changed; once more at the end.

    What cannot be sent is logged once and tried again: watching never fails a run.

    Args:
        remote: Where to.
        store: Where from.
        every_s: Seconds between looks.
    """

    def __init__(self, remote: RemoteStore, store: Store, *, every_s: float = EVERY_S) -> None:
        self._remote, self._file, self._every_s = remote, store.layout.live, every_s
        self._sent = b""
        self._has_complained = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tunescope live state there", daemon=True)

    def __enter__(self) -> LiveMirror:
        with contextlib.suppress(FileNotFoundError):
            self._sent = self._file.read_bytes()  # of an earlier run: the storage has it, or something newer
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._send()

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            self._send()

    def _send(self) -> None:
        try:
            content = self._file.read_bytes()
            if content != self._sent:
                self._remote.write(self._file.name, content)
                self._sent = content
        except FileNotFoundError:  # nothing has run yet
            return
        except (StoreError, OSError) as error:
            if not self._has_complained:
                self._has_complained = True
                _LOG.warning("other machines do not see what runs now: %s", error)


def pull_live(remote: RemoteStore, store: Store) -> None:
    """Fetches what runs now. The file's time is when it was written by the clock of the machine that did: see `live.look`.

    Raises:
        StoreError: If the storage refuses or does not answer.
    """
    content = remote.read(store.layout.live.name)
    if content is None:
        return
    try:
        live = Live.model_validate_json(content)
    except ValidationError:  # of another version, or torn: `look` says so in words
        write_text(store.layout.live, content.decode(errors="replace"))
        return
    write_text(store.layout.live, content.decode())
    written_at = live.started_at.timestamp() + live.elapsed_s
    os.utime(store.layout.live, (written_at, written_at))
