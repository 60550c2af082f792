"""A job's log: a plain text file that its messages and warnings are appended to."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tunescope.store.atomic import writing_in

_OURS = "tunescope"
_THEIRS = ("transformers", "datasets", "huggingface_hub", "accelerate", "peft")
"""Libraries that may keep their messages from the root logger, so each is listened to by name."""


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Appends what this process logs, and Python's warnings, to a file while the block runs.

    Messages of tunescope are kept from INFO on, others as far as their own levels let them through.

    Raises:
        StoreError: If the file cannot be opened because the disk is full or not writable.
    """
    with writing_in(path.parent):
        path.parent.mkdir(exist_ok=True)
        handler = _JobLogHandler(path, encoding="utf-8")
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    ours = logging.getLogger(_OURS)
    level = ours.level
    listened = [logging.getLogger()]
    listened += [logger for name in _THEIRS if not (logger := logging.getLogger(name)).propagate]
    if level == logging.NOTSET:
        ours.setLevel(logging.INFO)
    for logger in listened:
        logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _log_warning
            yield
    finally:
        for logger in listened:
            logger.removeHandler(handler)
        ours.setLevel(level)
        handler.close()


class _JobLogHandler(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Logging would print a traceback over the progress display; on a full disk the job itself fails, in words."""


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    logging.getLogger("py.warnings").warning("%s:%s: %s: %s", filename, lineno, category.__name__, message)
