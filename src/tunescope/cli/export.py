"""The command `export`: tells a tracker all that the store knows of a study."""

from __future__ import annotations

import argparse

from tunescope.cli.output import put_line


def export(arguments: argparse.Namespace) -> int:
    """Tells the tracker, and says what it was told and how to see it; 1 if an artifact is damaged."""
    from tunescope import api
    from tunescope.report.terminal.inert import inert

    done = api.export_study(
        arguments.study,
        arguments.to,
        store=arguments.store,
        mirror=arguments.mirror,
        changes=arguments.changes,
        mode=arguments.mode,
        on_telling=lambda line: put_line(inert(line)),
    )
    if done is None:
        put_line(f"{arguments.to} is disabled: nothing was told")
        return 0
    told = f"{arguments.to}: {done.num_told} runs told, {done.num_unchanged} unchanged"
    if done.num_not_begun:
        told += f", {done.num_not_begun} not begun yet"
    put_line(f"{told} ({done.seconds:.1f} s)")
    for reason in done.not_whole:
        put_line(inert(f"not told: {reason}"))
    put_line(inert(done.shown_by))
    return 1 if done.not_whole else 0
