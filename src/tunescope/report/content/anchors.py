"""Ids on the page: where a number's rows, a job's record and a section are found."""

from __future__ import annotations

import re

from tunescope.analysis.collect import ResultRow


def slug(name: str) -> str:
    """A name as part of an id: lower case, everything but letters and digits to hyphens.

    Example:
        >>> slug("sentence-transformers/all-MiniLM-L6-v2")
        'sentence-transformers-all-minilm-l6-v2'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "any"


def rows_anchor(base_model: str | None, task: str, method: str, metric: str) -> str:
    """The first row of a cell in the table of all rows; baselines that depend on no base model are of `any`."""
    return "-".join(["rows", *(slug(part) for part in (base_model or "", task, method, metric))])


def cell_anchor(row: ResultRow) -> str:
    """As `rows_anchor`, of the cell that a row belongs to."""
    return rows_anchor(row.base_model, row.task, row.method, row.metric)


def drift_anchor(base_model: str, task: str, method: str | None, compared: str) -> str:
    """The first row of a method's runs, or of a control, in the table of drift's runs."""
    return "-".join(["drift-of", *(slug(part) for part in (base_model, task, method or "", compared))])


def job_anchor(job: str | None) -> str:
    """A job's line in the table of jobs; empty where there is no job."""
    return f"job-{job}" if job else ""


def part_id(*parts: str) -> str:
    """The id of a table or a chart: the section's, then what it is of."""
    return "-".join(slug(part) for part in parts if part)
