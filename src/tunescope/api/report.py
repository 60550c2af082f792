"""`report` as functions: what a store knows of a study as a page with its tables, or two studies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tunescope.analysis.disagreements import without_texts
from tunescope.analysis.findings import collect_findings
from tunescope.analysis.two_studies import Side, compare_two
from tunescope.api.stored import DEFAULT_STORE, Opened, open_study
from tunescope.errors import TunescopeError


def report_study(
    study: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    output: Path | None = None,
    figures: Sequence[str] = ("svg",),
    with_texts: bool = True,
) -> Path:
    """Writes the report of a study, finished or not, from its store alone.

    Args:
        study: The study's YAML file, its store, or `STORE/studies/NAME`.
        store: Where its results are, if `study` is a file.
        mirror: A folder that stands in for the hub.
        changes: As given to `--set`.
        output: The report's folder; `STORE/report/NAME` where absent. An earlier report there is replaced.
        figures: Formats of the figure files: svg, pdf, png.
        with_texts: Whether examples that methods answer differently are shown with the texts of the data.

    Returns:
        The report's `index.html`.

    Raises:
        TunescopeError: If the study is wrong, there is no store, or the folder holds something else or cannot be written.
    """
    opened = open_study(study, store=store, mirror=mirror, changes=changes)
    return write_opened(opened, output, figures, with_texts=with_texts)


def report_two(
    first: Path,
    second: Path,
    *,
    store: Path = DEFAULT_STORE,
    mirror: Path | None = None,
    changes: Sequence[str] = (),
    output: Path | None = None,
    figures: Sequence[str] = ("svg",),
    alpha: float = 0.05,
) -> Path:
    """Writes what changed from one study to another, and which changes are real.

    Args:
        first: A study's YAML file, a store, or `STORE/studies/NAME`.
        second: Another.
        store: Where the results of those are that are files.
        mirror: A folder that stands in for the hub.
        changes: As given to `--set`, of both.
        output: The report's folder; `report/FIRST-to-SECOND` in the second's store where absent.
        figures: Formats of the figure files: svg, pdf, png.
        alpha: Chance, at most, of a false verdict in the family.

    Returns:
        The report's `index.html`.

    Raises:
        TunescopeError: As `report_study`, or if both are the same study of one store.
    """
    from tunescope.report.content.two_studies import two_studies_content
    from tunescope.report.folder import write_page

    opened = [open_study(one, store=store, mirror=mirror, changes=changes) for one in (first, second)]
    if opened[0].store.path.resolve() == opened[1].store.path.resolve() and opened[0].plan == opened[1].plan:
        raise TunescopeError(f"{first} and {second} are the same study in the same store: there is nothing to compare.")
    names = _told_apart(opened, (first, second))
    sides = [Side(name=name, plan=one.plan, store=one.store) for name, one in zip(names, opened, strict=True)]
    found = compare_two(sides[0], sides[1], alpha=alpha)
    out = output or opened[1].store.path / "report" / f"{opened[0].plan.study.name}-to-{opened[1].plan.study.name}"
    return write_page(two_studies_content(found), out, figures=figures)


def write_opened(
    opened: Opened, output: Path | None = None, figures: Sequence[str] = ("svg",), *, with_texts: bool = True
) -> Path:
    """As `report_study`, of a study that is open already."""
    from tunescope.report.content.contents import report_content
    from tunescope.report.folder import write_report

    findings = collect_findings(opened.plan, opened.store)
    if not with_texts:
        findings = replace(findings, disagreements=tuple(map(without_texts, findings.disagreements)))
    out = output or opened.store.path / "report" / opened.plan.study.name
    return write_report(report_content(findings), findings, opened.store, out, figures=figures)


def _told_apart(opened: Sequence[Opened], paths: Sequence[Path]) -> list[str]:
    """What the two are called: their studies' names, or where those are alike, their paths."""
    names = [one.plan.study.name for one in opened]
    return names if names[0] != names[1] else [str(path) for path in paths]
