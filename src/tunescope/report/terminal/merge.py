"""What a merge came to, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from tunescope.report.terminal.garbage import size_shown
from tunescope.report.terminal.inert import inert
from tunescope.store.merging.merge import Merged


def merge_summary(merged: Merged) -> RenderableType:
    """Counts and bytes; then each choice that was made, and what is left to be done."""
    first = (
        f"{merged.num_copied} artifacts copied and verified ({size_shown(merged.bytes_copied)}), {merged.num_there} were there. "
        f"Store: {merged.into}"
    )
    return Group(Text(inert(first)), *(Text(inert(line), style="dim") for line in _told(merged)))


def _told(merged: Merged) -> Iterator[str]:
    counts = (
        (merged.num_runs, "run commands in the history"),
        (merged.num_logs, "logs"),
        (merged.num_failures, "failures of jobs that nobody has done"),
        (len(merged.checkpoints), "checkpoints of unfinished jobs"),
    )
    added = ", ".join(f"{number} {what}" for number, what in counts if number)
    yield f"studies: {', '.join(merged.studies) or 'none'}" + (f"; besides: {added}" if added else "")
    if merged.differing:
        yield (
            f"made on each machine, and not alike to the last digit, so the first store's is taken: {', '.join(merged.differing)}"
        )
    if merged.preferred:
        yield f"taken from the preferred store, the others had other files: {', '.join(merged.preferred)}"
    if merged.left_out:
        yield (
            f"left out, made from a copy that was not taken: {', '.join(merged.left_out)}. The next run makes them anew"
        )
