"""Where what a command shows goes: the terminal, a pipe or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunescope.errors import TunescopeError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PIPE_WIDTH = 140
"""Characters of a line where nobody's terminal says how many it has."""


def put_out(content: bytes | RenderableType, file: Path | None) -> None:
    """Writes to a file, or to the terminal where none is given; in a file, text has the width it has in a pipe.

    Raises:
        TunescopeError: If it cannot be written.
    """
    if file is None:
        if isinstance(content, bytes):
            _put_bytes(content)
        else:
            console().print(content)
        return
    try:
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            from tunescope.report.terminal.results import render

            file.write_text(render(content, width=_PIPE_WIDTH), encoding="utf-8")
    except OSError as error:
        raise TunescopeError(f"--output {file} cannot be written: {error.strerror}.") from error


def check_folder(option: str, file: Path | None) -> None:
    """Raises TunescopeError if the folder of a file to be written is not there; to be asked before an hour's work."""
    if file is not None and not file.absolute().parent.is_dir():
        raise TunescopeError(f"{option} {file} cannot be written: no such folder as {file.parent}. Make it first.")


def near(path: Path) -> Path:
    """A path as one types it: from here, where it lies below this folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def put_line(line: str) -> None:
    """Writes a line as it is.

    Raises:
        TunescopeError: If it cannot be written.
    """
    with _to_stdout():
        print(line, flush=True)


def console() -> Console:
    """As wide as the terminal; in a pipe, `COLUMNS` or 140 characters."""
    from rich.console import Console

    class PlainConsole(Console):
        def print(self, *objects: Any, **how: Any) -> None:
            with _to_stdout():
                super().print(*objects, **how)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for `main`, where rich would exit with 1

    asked = os.environ.get("COLUMNS", "")
    is_terminal = sys.stdout is not None and sys.stdout.isatty()  # None where it was closed: `>&-`
    width = None if is_terminal else max(_PIPE_WIDTH, int(asked) if asked.isdecimal() else 0)
    return PlainConsole(width=width)


def stop_writing() -> None:
    """What stdout still holds goes nowhere, so that the interpreter does not try once more on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _put_bytes(content: bytes) -> None:
    if sys.stdout is None:
        raise TunescopeError("standard output is closed: give --output FILE.")
    with _to_stdout():
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


@contextmanager
def _to_stdout() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        stop_writing()
        raise TunescopeError(f"standard output cannot be written: {error.strerror}.") from error
