"""The command `status`: where a study stands, once or again and again."""

from __future__ import annotations

import argparse
import time
from datetime import datetime

from tunescope.cli.output import console
from tunescope.cli.storage import with_copies

WATCH_S = 5.0
"""Seconds between two looks where `--watch` does not say."""


def status(arguments: argparse.Namespace) -> int:
    """Shows what is done, running, failed and left; 1 if anything failed. With `--watch` until Ctrl-C, then 0."""
    if arguments.watch is not None:
        return _watch(arguments)
    from tunescope import api
    from tunescope.report.terminal.status import status_summary

    found = api.study_status(arguments.study, store=arguments.store, mirror=arguments.mirror, changes=arguments.changes)
    console().print(status_summary(found), crop=False)
    return 1 if found.counts["failed"] else 0


def seconds(text: str) -> float:
    """The argument of `--watch`."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.1 <= value <= 86_400.0:
        raise argparse.ArgumentTypeError(f"expected seconds, 0.1 to 86400, got {text!r}")
    return value


def _watch(arguments: argparse.Namespace) -> int:
    from rich.console import Group, RenderableType
    from rich.live import Live
    from rich.text import Text

    from tunescope import api
    from tunescope.report.terminal.status import status_summary

    terminal = console()

    def block() -> RenderableType:
        now = with_copies(arguments.asked)
        found = api.study_status(now.study, store=now.store, mirror=now.mirror, changes=now.changes)
        at = datetime.now().astimezone()
        return Group(Text(at.strftime("%Y-%m-%d %H:%M:%S %Z"), style="dim"), status_summary(found, now=at))

    latest = block()
    try:
        if not terminal.is_terminal:
            while True:
                terminal.print(latest, crop=False)
                time.sleep(arguments.watch)
                latest = block()
        with Live(latest, console=terminal, auto_refresh=False, transient=True, vertical_overflow="crop") as shown:
            while True:
                time.sleep(arguments.watch)
                latest = block()
                shown.update(latest, refresh=True)
    except KeyboardInterrupt:
        if terminal.is_terminal:
            terminal.print(latest, crop=False)  # whole: the screen may have cut it short
        return 0
