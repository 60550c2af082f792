"""What `tunescope list` shows is what a study may name."""

from __future__ import annotations

import pytest

from tunescope.methods import METHODS
from tunescope.report.terminal.catalogue import catalogue_summary
from tunescope.report.terminal.results import render
from tunescope.tasks.registry import known_tasks
from tunescope.tasks.scores import SCORES


@pytest.mark.parametrize("what,names", [("tasks", known_tasks()), ("methods", METHODS), ("metrics", SCORES)])
def test_every_entry_has_a_line(what, names):
    lines = render(catalogue_summary(what), width=300).splitlines()
    first = {line.split()[0] for line in lines if line.split()}
    assert set(names) <= first
