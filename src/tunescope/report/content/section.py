"""A section of a report: what it answers, in sentences, tables and charts; and what to do where nothing was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunescope.report.content.chart import Chart
from tunescope.report.content.table import Table


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One thing that is said, with where its numbers are."""

    text: str
    anchor: str = ""
    tone: Literal["", "good", "bad", "doubt", "faint"] = ""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One example that methods answer differently, with what each said."""

    id: str
    task: str
    texts: tuple[tuple[str, str], ...]
    """Field's name -> text, as it came."""
    target: str
    answers: tuple[tuple[str, str, bool | None], ...]
    """Run (method and seed), its answer, and whether it is right (None where that is a matter of degree)."""
    share_right: dict[str, float]
    """Method -> share of its seeds (or mean score) that is right."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One heading of the report."""

    id: str
    title: str
    sentences: tuple[Sentence, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    examples: tuple[Example, ...] = ()
    commands: tuple[str, ...] = ()
    """Lines to type, shown to be copied."""
    missing: str = ""
    """Why there is nothing here, and how to measure it; then all else is empty."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report says, in the order it is read: verdicts first."""

    study: str
    question: str
    methods: tuple[str, ...]
    """In the study's order, which gives each its colour and mark."""
    summary: tuple[Sentence, ...]
    """How much of the study is there: runs done, failed, to come; when, on what."""
    verdicts: tuple[Sentence, ...]
    """One per comparison, in words, with interval."""
    undecided: tuple[Sentence, ...]
    """What could not be decided, and what would decide it."""
    sections: tuple[Section, ...]
