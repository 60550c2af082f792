"""The command `compare`: which differences are real, of a study or of any table of scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from tunescope.cli.output import put_out
from tunescope.errors import TunescopeError


def compare(arguments: argparse.Namespace) -> int:
    """Shows or writes which differences are real."""
    if arguments.source.suffix in (".yaml", ".yml") or _is_stored(arguments.source):
        return _compare_study(arguments)
    from tunescope.analysis.tables.compare_file import compare_scores_file, pairs_as_table
    from tunescope.report.export.tidy import encoded, output_format
    from tunescope.report.terminal.rankings import compare_summary

    form = output_format(arguments.format, arguments.output)
    found = compare_scores_file(
        arguments.source,
        measure=arguments.measure,
        reference=arguments.reference,
        alpha=arguments.alpha,
        higher_is_better=_directions(arguments),
    )
    put_out(compare_summary(found) if form == "table" else encoded(pairs_as_table(found), form), arguments.output)
    return 0


def _is_stored(source: Path) -> bool:
    """Whether a folder is a store, or one study of a store."""
    return (source / "store.json").is_file() or (source / "study.yaml").is_file()


def _directions(arguments: argparse.Namespace) -> dict[str, bool]:
    both = sorted(set(arguments.lower_is_better) & set(arguments.higher_is_better))
    if both:
        raise TunescopeError(f"--lower-is-better and --higher-is-better both name '{both[0]}'. Say one of them.")
    return dict.fromkeys(arguments.lower_is_better, False) | dict.fromkeys(arguments.higher_is_better, True)


def _compare_study(arguments: argparse.Namespace) -> int:
    from tunescope import api
    from tunescope.analysis.hypotheses import comparisons_as_table
    from tunescope.report.export.tidy import encoded, output_format
    from tunescope.report.notes import study_notes
    from tunescope.report.terminal.hypotheses import hypothesis_summary

    form = output_format(arguments.format, arguments.output)
    for option in ("measure", "reference", "lower_is_better", "higher_is_better"):
        if getattr(arguments, option):
            raise TunescopeError(
                f"--{option.replace('_', '-')} is for tables of scores; a study says what it compares under `compare:` in {arguments.source}."
            )
    found = api.compare_study(
        arguments.source,
        store=arguments.store,
        mirror=arguments.mirror,
        changes=arguments.changes,
        alpha=arguments.alpha,
    )
    if form == "table":
        notes = study_notes(found.plan.study)
        put_out(hypothesis_summary(found.comparisons, found.opinions, notes), arguments.output)
    else:
        put_out(encoded(comparisons_as_table(found.comparisons), form), arguments.output)
    return 0
