"""The metric log of a run: JSON lines, only ever appended to, which others read while the run is under way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LOG_NAME = "log.jsonl"
"""Of a run's metric log, in its artifact."""

_FLUSH_EVERY_S = 2.0
"""Lines wait for so long at most, as long as others follow."""


class MetricLog:
    """Appends one JSON line per entry; after a resume, steps since the checkpoint stand twice and the later one counts.

    Other processes see an entry within about two seconds; they may meet the first half of a line, which `read_log` passes over.
    """

    def __init__(self, path: Path, *, anew: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock, self._flushed = clock, clock()
        if anew:
            path.unlink(missing_ok=True)
        _end_torn_line(path)
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, **entry: Any) -> None:
        self._file.write(json.dumps(entry, allow_nan=False) + "\n")
        if self._clock() - self._flushed >= _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        self._file.flush()
        self._flushed = self._clock()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log, of every (event, step) the last one written, in order of step."""
    latest: dict[tuple[str, int], dict[str, Any]] = {}
    for entry in _entries(path):
        latest[(entry["event"], entry["step"])] = entry
    return sorted(latest.values(), key=lambda entry: (entry["step"], entry["event"] != "step"))


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("}\n"):
                yield json.loads(line)


def _end_torn_line(path: Path) -> None:
    """A process that died while writing left half a line: ends it, so that the next entry starts on its own.

    Not with a mere newline: half a line may end with the brace of an inner object, and then looked like an entry.
    """
    if not path.exists():
        return
    with path.open("rb+") as file:
        file.seek(0, 2)
        if file.tell() == 0:
            return
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"~\n")
