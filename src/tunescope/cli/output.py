"""Where what a command shows goes: the terminal, a pipe or a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tunescope.errors import TunescopeError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PIPE_WIDTH = 140
"""Characters of a line where nobody's terminal says how many it has."""


def put_out(content: bytes | RenderableType, file: Path | None) -> None:
    """Writes to a file, or to the terminal where none is given; in a file, text has the width it has in a pipe."""
    if file is None:
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            console().print(content)
        return
    try:
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            from tunescope.report.results import render

            file.write_text(render(content, width=_PIPE_WIDTH), encoding="utf-8")
    except OSError as error:
        raise TunescopeError(f"--output {file} cannot be written: {error.strerror}.") from error


def console() -> Console:
    """As wide as the terminal; in a pipe, `COLUMNS` or 140 characters."""
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for `main`, where rich would exit with 1

    asked = os.environ.get("COLUMNS", "")
    width = None if sys.stdout.isatty() else max(_PIPE_WIDTH, int(asked) if asked.isdecimal() else 0)
    return PlainConsole(width=width)
