"""Where a study stands: counts by kind, every failure with reason and log."""

from __future__ import annotations

from fake_steps import fake_job
from tunescope.report.terminal.results import render
from tunescope.report.terminal.status import status_summary


def test_counts_and_failures():
    done, failed, left = fake_job("one"), fake_job("two"), fake_job("three")
    states = [(done, "done", ""), (failed, "failed", "[red]x[/red] \x1b[31my"), (left, "missing", "not run yet")]
    shown = render(status_summary("s", states, ["a.log", "b.log", "c.log"], "1 left. Store: [b]st"), width=120)
    (counts,) = [line.split() for line in shown.splitlines() if line.split()[:1] == ["fake"]]
    assert counts == ["fake", "1", "1", "1"]
    assert f"failed: two (fake/{failed.id[:8]}): [red]x[/red] \\x1b[31my" in shown
    assert "log: b.log" in shown
    assert "a.log" not in shown
    assert shown.rstrip().endswith("1 left. Store: [b]st")
    assert "\x1b" not in shown
