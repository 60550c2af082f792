"""Object storage on the command line: what reads a store at a URL reads this machine's copy, brought up to date before."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

from tunescope.errors import TunescopeError

_PLACES = ("study", "source", "other", "store")
"""The arguments that may name a study or a store at a URL."""


def place(text: str) -> Path | str:
    """The type of an argument that is a path or a URL, whose two slashes a `Path` would make one."""
    return text if _is_url(text) else Path(text)


def folder(instead: str) -> Callable[[str], Path]:
    """The type of an argument that is a path and cannot be a URL; `instead` says what to do."""

    def path(text: str) -> Path:
        if _is_url(text):
            raise argparse.ArgumentTypeError(f"expected a path, got object storage, {text}. {instead}")
        return Path(text)

    return path


def with_copies(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments of a command, with this machine's copies, just brought up to date, in the place of stores at URLs.

    `run` alone works on object storage itself. `asked` of what comes back is `arguments`, for a command that looks again later.

    Raises:
        TunescopeError: If there is no store, or the storage cannot be used.
    """
    found = copy.copy(arguments)
    found.asked = arguments
    if getattr(arguments, "works_on_urls", False):
        if isinstance(arguments.store, str) and arguments.dry_run:
            raise TunescopeError(
                f"--dry-run --store {arguments.store}: a plan reads no object storage. Leave --store out."
            )
        return found
    copies: dict[str, Path] = {}
    for name in _PLACES:
        given = getattr(arguments, name, None)
        if isinstance(given, str):
            setattr(found, name, _copy_of(given, copies))
    return found


def _copy_of(url: str, copies: dict[str, Path]) -> Path:
    """The copy of a store, or of one study of it: `URL/studies/NAME`."""
    from tunescope.store.remote.working_copy import reading_copy

    root, studies, study = url.rstrip("/").rpartition("/studies/")
    if not studies or "/" in study:
        root, study = url.rstrip("/"), ""
    if root not in copies:
        copies[root] = reading_copy(root).path
    return copies[root] / "studies" / study if study else copies[root]


def _is_url(text: str) -> bool:
    from tunescope.store.remote.storage import is_url

    return is_url(text)
