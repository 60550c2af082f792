"""Tables and text as GitHub's Markdown; text of users shows as it came and acts on nothing."""

from __future__ import annotations

import re

from tunescope.report.content.table import Table
from tunescope.report.terminal.inert import inert

_SPECIAL = re.compile(r"([\\`*|~$]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|\[(?=\^))")
"""What means something wherever it stands; an underscore inside a word and a bracket by itself mean nothing."""
_BLOCK_START = re.compile(r"^(#{1,6}(?=\s|$)|[+-](?=\s|$)|\d+[.)](?=\s|$)|\[)")


def plain(text: str) -> str:
    r"""A text on one line that Markdown shows as it is.

    Example:
        >>> print(plain("a_b <script> *x*"))
        a_b &lt;script&gt; \*x\*
    """
    one_line = " ".join(inert(text).split())
    escaped = _SPECIAL.sub(r"\\\1", one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    return _BLOCK_START.sub(lambda found: f"{found[1][:-1]}\\{found[1][-1]}", escaped)


def markdown_table(table: Table) -> str:
    """A table with its caption in bold above it and its note below; numbers are set right."""
    heads = [plain(column.name) or " " for column in table.columns]
    rules = ["---:" if column.kind == "number" else "---" for column in table.columns]
    lines = [heads, rules, *([plain(cell.shown) or " " for cell in row.cells] for row in table.rows)]
    written = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    note = f"\n{plain(table.note)}\n" if table.note else ""
    return f"**{plain(table.caption)}**\n\n{written}\n{note}"


def fenced(text: str) -> str:
    """Lines to copy, in a block that nothing in them can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{inert(text).rstrip()}\n{fence}\n"
