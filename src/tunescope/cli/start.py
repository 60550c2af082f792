"""The commands of a newcomer: list what there is, and a study to start from."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from tunescope.cli.output import console, put_line
from tunescope.errors import TunescopeError


def list_known(arguments: argparse.Namespace) -> int:
    """Shows what a study may name."""
    from tunescope.report.terminal.catalogue import catalogue_summary

    console().print(catalogue_summary(arguments.what))
    return 0


def init(arguments: argparse.Namespace) -> int:
    """Writes a commented study to start from."""
    from tunescope.report.starter import STARTER

    path: Path = arguments.path
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER.format(path=shlex.quote(str(path)), name=_study_name(path)))
    except FileExistsError as error:
        raise TunescopeError(f"{path} is there already, and stays as it is. Give another name.") from error
    except OSError as error:
        raise TunescopeError(f"{path} cannot be written: {error.strerror}.") from error
    put_line(f"wrote {path}. Next: tunescope run {shlex.quote(str(path))}")
    return 0


def _study_name(path: Path) -> str:
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in path.stem)
    return kept.strip("-_")[:64] or "study"
