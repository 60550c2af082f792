"""What of a store nothing needs any more, as a person reads it before it is deleted."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.report.terminal.blocks import Blocks
from tunescope.report.terminal.inert import inert
from tunescope.report.terminal.plan import time_shown
from tunescope.store.garbage import WHY, Garbage, Item

_MAX_ITEMS = 20


def garbage_summary(found: Garbage) -> RenderableType:
    """What is deleted or would be, by reason with its size; then the largest things by name, and what stays."""
    if not found.items:
        parts: list[RenderableType] = [Text(f"nothing to free in {inert(str(found.store))}")]
    else:
        told = "freed" if found.is_deleted else "would be freed"
        parts = [
            Blocks(_reasons(found), num_keys=1),
            Blocks(_largest(found), num_keys=1),
            Text(f"{size_shown(found.num_bytes)} {told} in {inert(str(found.store))}", style="bold"),
        ]
    if found.kept:
        parts.append(Text(inert(_kept(found.kept)), style="dim"))
    parts.extend(Text(inert(note), style="dim") for note in found.notes)
    if found.items and not found.is_deleted:
        parts.append(Text("nothing was deleted: --delete does it", style="dim"))
    return Group(*parts)


def size_shown(num_bytes: int) -> str:
    """Bytes as a person reads them.

    Example:
        >>> size_shown(3_200_000)
        '3.1 MiB'
    """
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f} {unit}"
    return f"{num_bytes} bytes"


def _reasons(found: Garbage) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name, side in (
        ("what", "left"),
        ("number", "right"),
        ("size", "right"),
        ("making it took", "right"),
        ("why", "left"),
    ):
        table.add_column(name, justify=side, no_wrap=side == "right")  # type: ignore[arg-type]
    for reason, why in WHY.items():
        items = [item for item in found.items if item.reason == reason]
        if not items:
            continue
        took = sum(item.made_in_s or 0.0 for item in items)
        table.add_row(
            reason,
            str(len(items)),
            size_shown(sum(item.num_bytes for item in items)),
            time_shown(took) if took else "-",
            why,
        )
    return table


def _largest(found: Garbage) -> Table:
    items = sorted(found.items, key=lambda item: (-item.num_bytes, item.what))
    table = Table(box=box.SIMPLE_HEAD)
    for name, side in (("one of them", "left"), ("size", "right"), ("what", "left")):
        table.add_column(name, justify=side, no_wrap=side == "right")  # type: ignore[arg-type]
    for item in items[:_MAX_ITEMS]:
        table.add_row(Text(inert(item.what)), size_shown(item.num_bytes), item.reason)
    if len(items) > _MAX_ITEMS:
        rest = items[_MAX_ITEMS:]
        table.add_row(f"and {len(rest)} smaller", size_shown(sum(item.num_bytes for item in rest)), "")
    return table


def _kept(kept: tuple[Item, ...]) -> str:
    took = sum(item.made_in_s or 0.0 for item in kept)
    return (
        f"{len(kept)} artifacts ({size_shown(sum(item.num_bytes for item in kept))}) that no study of the store wants any more stay: "
        f"making them took {time_shown(took)}. --unwanted counts them too"
    )
