"""The command `report`: a study's page with its tables, or what changed between two studies."""

from __future__ import annotations

import argparse

from tunescope.cli.output import near, put_line
from tunescope.errors import TunescopeError, did_you_mean

FIGURE_FORMATS = ("svg", "pdf", "png")


def report(arguments: argparse.Namespace) -> int:
    """Writes a report and says where it is."""
    from tunescope import api

    where = {"store": arguments.store, "mirror": arguments.mirror, "changes": arguments.changes}
    figures = figure_formats(arguments.figures)
    if arguments.other is None:
        page = api.report_study(
            arguments.study,
            output=arguments.output,
            figures=figures,
            with_texts=not arguments.without_texts,
            **where,
        )
    else:
        page = api.report_two(arguments.study, arguments.other, output=arguments.output, figures=figures, **where)
    put_line(f"Report: {near(page)}")
    return 0


def figure_formats(asked: str) -> tuple[str, ...]:
    """The formats named in a list with commas.

    Raises:
        TunescopeError: If one is unknown.
    """
    formats = tuple(dict.fromkeys(one.strip().lower() for one in asked.split(",") if one.strip()))
    for one in formats:
        if one not in FIGURE_FORMATS:
            raise TunescopeError(f"--figures {asked}: unknown format '{one}'. {did_you_mean(one, FIGURE_FORMATS)}")
    return formats
