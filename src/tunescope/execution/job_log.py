"""A job's log: a plain text file, a second one where the study asks for it, each line with its time, and no progress bars."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from types import ModuleType
from typing import TextIO

from tunescope.store.atomic import writing_in

_OURS = "tunescope"
_LOG = logging.getLogger(__name__)
_THEIRS = ("transformers", "datasets", "huggingface_hub", "accelerate", "peft")
"""Libraries that may keep their messages from the root logger, so each is listened to by name."""

NO_BARS = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
}
"""Environment of a process that is to draw no progress bars; libraries read it when they are imported."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 120


@contextmanager
def logging_to(path: Path, also: Path | None = None) -> Iterator[None]:
    """Appends what this process logs, and Python's warnings, to a file while the block runs, which draws no progress bars.

    Messages of tunescope are kept from INFO on, others as far as their own levels let them through. Each begins with its time
    in UTC.

    Args:
        path: The log in the store.
        also: A second file; one that cannot be opened is told of in the first.

    Raises:
        StoreError: If the first file cannot be opened because the disk is full or not writable.
    """
    with writing_in(path.parent):
        path.parent.mkdir(exist_ok=True)
        handlers: list[logging.Handler] = [_JobLogHandler(path, encoding="utf-8")]
    problem = ""
    if also is not None:
        try:
            also.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(_JobLogHandler(also, encoding="utf-8"))
        except OSError as error:
            problem = f"the log {also} cannot be written: {error.strerror}"
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    ours = logging.getLogger(_OURS)
    level = ours.level
    listened = [logging.getLogger()]
    listened += [logger for name in _THEIRS if not (logger := logging.getLogger(name)).propagate]
    if level == logging.NOTSET:
        ours.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(formatter)
        for logger in listened:
            logger.addHandler(handler)
    try:
        with warnings.catch_warnings(), without_bars():
            warnings.showwarning = _log_warning
            if problem:
                _LOG.warning(problem)
            yield
    finally:
        for handler in handlers:
            for logger in listened:
                logger.removeHandler(handler)
            handler.close()
        ours.setLevel(level)


def named_log(folder: Path, label: str, kind: str, part: str = "") -> Path:
    """FOLDER/[PART/]LABEL.KIND.log, with what may not stand in a file's name replaced by '-'.

    Names that were changed end in eight hex digits of the label's SHA-256, so that no two labels share a file.

    Args:
        folder: The study's `logs`.
        label: The job's, which holds the names of task and method.
        kind: The job's.
        part: A folder between, such as "vm1".

    Example:
        >>> named_log(Path("logs/phase1"), "rte-lora-seed1", "train", "vm1").as_posix()
        'logs/phase1/vm1/rte-lora-seed1.train.log'
    """
    name = f"{_file_name(label)}.{_file_name(kind)}.log"
    return folder / _file_name(part) / name if part else folder / name


@contextmanager
def without_bars() -> Iterator[None]:
    """Keeps tqdm and the libraries over it from drawing progress bars, until the block ends.

    Those that are loaded are told; those that the block loads read the environment, and draw none afterwards either.
    """
    environment = {name: os.environ.get(name) for name in NO_BARS}
    base = sys.modules.get("tqdm.std")
    begin = None if base is None else base.tqdm.__init__
    libraries = [library for name in _WITH_SWITCHES if (library := sys.modules.get(name)) is not None]
    were_on = [_draws(library) for library in libraries]
    _set_environment(NO_BARS)
    try:
        if base is not None:
            base.tqdm.__init__ = partialmethod(begin, disable=True)
        for library in libraries:
            _switch(library, on=False)
        yield
    finally:
        for library, on in zip(libraries, were_on, strict=True):
            _switch(library, on=on)
        if base is not None:
            base.tqdm.__init__ = begin
        _set_environment(environment)


_WITH_SWITCHES = ("transformers.utils.logging", "huggingface_hub.utils", "datasets.utils")
"""Modules with functions that turn bars off and on. That of transformers turns huggingface_hub too, and so comes first."""


def _draws(library: ModuleType) -> bool:
    if hasattr(library, "is_progress_bar_enabled"):
        return bool(library.is_progress_bar_enabled())
    return not library.are_progress_bars_disabled()


def _switch(library: ModuleType, *, on: bool) -> None:
    """Where the user's environment forbids a change, a library warns and keeps to it: so do we."""
    verb = "enable" if on else "disable"
    name = f"{verb}_progress_bar" if hasattr(library, f"{verb}_progress_bar") else f"{verb}_progress_bars"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(library, name)()


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _file_name(text: str) -> str:
    """The text where it may be a file's name, else as near as may be and eight digits of its hash."""
    safe = _UNSAFE.sub("-", text)[:_MAX_NAME].lstrip(".-")
    if safe and safe == text:
        return safe
    digits = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe}-{digits}" if safe else digits


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
