"""What a merge came to: counts, then each choice that was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tunescope.report.terminal.merge import merge_summary
from tunescope.report.terminal.results import render
from tunescope.store.merging.merge import Merged

PLAIN = Merged(
    into=Path("all"),
    num_copied=3,
    bytes_copied=2**20,
    num_there=1,
    studies=("s",),
    num_runs=0,
    num_failures=0,
    num_logs=0,
    checkpoints=(),
    preferred=(),
    differing=(),
    left_out=(),
)


def test_counts_alone_where_no_choice_was_made():
    assert render(merge_summary(PLAIN), width=200).splitlines() == [
        "3 artifacts copied and verified (1.0 MiB), 1 were there. Store: all",
        "studies: s",
    ]


def test_choices_are_told():
    merged = replace(
        PLAIN,
        num_runs=2,
        num_failures=1,
        num_logs=4,
        checkpoints=("train/1",),
        preferred=("train/2",),
        differing=("represent/3",),
        left_out=("evaluate/4",),
    )
    shown = render(merge_summary(merged), width=300)
    assert (
        "besides: 2 run commands in the history, 4 logs, 1 failures of jobs that nobody has done, 1 checkpoints of unfinished jobs"
        in shown
    )
    for part in ("the first store's is taken: represent/3", "preferred store, the others had other files: train/2"):
        assert part in shown
    assert "left out, made from a copy that was not taken: evaluate/4" in shown
