"""The command `drift`: how far any two models are apart."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tunescope.cli.output import check_folder, put_out

if TYPE_CHECKING:
    from tunescope.study.drift import Read


def drift(arguments: argparse.Namespace) -> int:
    """Shows the layers and modules of two models side by side, and writes every number where asked."""
    from tunescope import api
    from tunescope.drift.row import rows_as_table
    from tunescope.report.export.tidy import encoded, output_format, told_in_cells
    from tunescope.report.figures.layers import draw_layers
    from tunescope.report.figures.style import check_format
    from tunescope.report.terminal.two_models import two_models_summary
    from tunescope.weights.table import updates_as_table

    form = output_format(None, arguments.output)
    if arguments.figure is not None:
        check_format(arguments.figure)
    for option, file in (("--output", arguments.output), ("--figure", arguments.figure)):
        check_folder(option, file)
    pooling: Read = arguments.pooling
    found = api.drift_between(
        arguments.base,
        arguments.tuned,
        task=arguments.task,
        text=arguments.text,
        mirror=arguments.mirror,
        pooling=pooling,
        num_examples=arguments.num_examples,
        max_length=arguments.max_length,
        weights=not arguments.no_weights,
        weight_directions=arguments.weight_directions,
    )
    put_out(two_models_summary(found, pooling), None)
    if arguments.output is not None:
        told = two_models_summary(found, pooling) if form == "table" else encoded(rows_as_table(found.rows), form)
        put_out(told, arguments.output)
        if found.updates and form != "table":
            weights = arguments.output.with_stem(f"{arguments.output.stem}-weights")
            put_out(encoded(told_in_cells(updates_as_table(found.updates), form), form), weights)
    if arguments.figure is not None:
        draw_layers(found.rows, arguments.figure, pooling=pooling)
    return 0
