"""What would be freed is told by reason and by name before it is, and what is not asked for is told too."""

from __future__ import annotations

from pathlib import Path

from tunescope.report.terminal.garbage import garbage_summary, size_shown
from tunescope.report.terminal.results import render
from tunescope.store.garbage import Garbage, Item


def _item(reason, what, num_bytes, made_in_s=None):
    return Item(path=Path("s") / what, reason=reason, what=what, num_bytes=num_bytes, made_in_s=made_in_s)


def _shown(**changes):
    fields = {"store": Path("my store"), "items": (), "kept": (), "notes": (), "is_deleted": False}
    return render(garbage_summary(Garbage(**(fields | changes))), width=200)


def test_reasons_sizes_and_the_largest():
    items = (
        _item("unwanted checkpoint", "work/train-1", 3 * 2**30),
        _item("unwanted", "mrpc-full-seed1 (train/ab)", 4 * 2**30, made_in_s=7200.0),
        *(_item("temporary", f".tmp-{number}", 10) for number in range(30)),
    )
    shown = _shown(items=items)
    assert "7.0 GiB would be freed in my store" in shown
    assert "checkpoints of unfinished jobs that no study of the store wants" in shown
    assert "mrpc-full-seed1 (train/ab)" in shown
    assert "120 min" in shown or "2.0 h" in shown, "what making it again costs"
    assert "and 12 smaller" in shown
    assert "nothing was deleted: --delete does it" in shown
    freed = _shown(items=items, is_deleted=True)
    assert "7.0 GiB freed in my store" in freed
    assert "--delete" not in freed


def test_nothing_to_free_and_what_stays():
    shown = _shown(kept=(_item("unwanted", "old", 2**20, made_in_s=60.0),), notes=("a \x1b[31mnote",))
    assert "nothing to free in my store" in shown
    assert (
        "1 artifacts (1.0 MiB) that no study of the store wants any more stay: making them took 60 s. --unwanted"
        in shown
    )
    assert "a \\x1b[31mnote" in shown


def test_sizes():
    assert [size_shown(number) for number in (0, 1023, 1024, 5 * 2**20, 2**31)] == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "5.0 MiB",
        "2.0 GiB",
    ]
