"""What tasks, methods and metrics there are, as a person reads them."""

from __future__ import annotations

from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.methods import METHODS
from tunescope.search.recommended import recommendations
from tunescope.search.space import Choice
from tunescope.tasks.registry import catalogue_entry, known_tasks
from tunescope.tasks.scores import SCORES


def catalogue_summary(what: Literal["tasks", "methods", "metrics", "measures"]) -> RenderableType:
    """A table of what a study may name; for methods the search spaces we recommend, too."""
    table = Table(box=box.SIMPLE_HEAD)
    if what == "tasks":
        for column in ("task", "kind", "data set", "metrics", "what"):
            table.add_column(column)
        for name in known_tasks():
            entry = catalogue_entry(name)
            dataset = entry["dataset"]
            where = f"{dataset['hub']} ({dataset['config']})" if "config" in dataset else dataset["hub"]
            table.add_row(name, entry["kind"], where, ", ".join(entry["metrics"]), entry.get("description", ""))
    elif what == "methods":
        for column in ("method", "fields", "what"):
            table.add_column(column)
        for name, method in METHODS.items():
            purpose = (method.__doc__ or "").strip().split("\n")[0]
            table.add_row(name, ", ".join(method.model_fields) or "-", purpose)
        return Group(table, *(Text(line, style="dim") for line in _recommended()))
    elif what == "measures":
        return _measures()
    else:
        for column in ("metric", "for", "range", "better", "what"):
            table.add_column(column)
        for name, score in SCORES.items():
            low, high = score.range
            better = "higher" if score.higher_is_better else "lower"
            table.add_row(name, ", ".join(sorted(score.kinds)), f"{low:g} to {high:g}", better, score.description)
    return table


def _measures() -> RenderableType:
    """Each measure of drift with its formula and source, then what it does not see."""
    from tunescope.similarity.measures import MEASURES

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("measure", "range", "higher means", "formula", "source"):
        table.add_column(column, overflow="fold")
    for name, measure in MEASURES.items():
        low, high = measure.range
        table.add_row(name, f"{low:.3g} to {high:.3g}", measure.higher_means, measure.formula, measure.source)
    lines = []
    for name, measure in MEASURES.items():
        unseen = ", ".join(sorted(measure.unchanged_by)) or "nothing"
        lines.append(f"{name}: unchanged by {unseen} of one side; {measure.fails}")
    return Group(table, *(Text(line, style="dim") for line in lines))


def _recommended() -> list[str]:
    lines = []
    for one in recommendations():
        for field, space in one.spaces.items():
            where = (
                f"one of {', '.join(map(str, space.values))}"
                if isinstance(space, Choice)
                else f"{space.low:g} to {space.high:g}{', logarithmic' if space.log else ''}"
            )
            lines.append(f"sweep: recommended, {one.method}: {field} {where}, default {space.default}")
        lines.extend(f"    {source}" for source in one.sources)
    return lines
