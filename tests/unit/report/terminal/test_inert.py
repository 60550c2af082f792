"""Nothing that comes from outside acts on a terminal."""

from __future__ import annotations

import pytest

from tunescope.report.terminal.inert import inert


@pytest.mark.parametrize(
    "text,shown",
    [
        ("plain, ± ü 中 [red]x[/red]", "plain, ± ü 中 [red]x[/red]"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("over\rwritten \x07 \x9b31m", "over\\rwritten \\x07 \\x9b31m"),
        ("turned \u202e around", "turned \\u202e around"),
        ("half a letter \ud800", "half a letter \\ud800"),
    ],
)
def test_control_characters_are_written_out_and_nothing_else_changes(text, shown):
    assert inert(text) == shown
    assert inert(text).encode("utf-8")
