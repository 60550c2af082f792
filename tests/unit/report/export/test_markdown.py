"""Markdown: what users wrote shows as they wrote it and acts on nothing; ordinary text stays readable as it is."""

from __future__ import annotations

import pytest

from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.report.export.markdown import fenced, markdown_table, plain


@pytest.mark.parametrize(
    "given,written",
    [
        ("lora on mrpc: -0.4 points [-1.9, 1.1]", "lora on mrpc: -0.4 points [-1.9, 1.1]"),
        ("not_entailment", "not_entailment"),
        ("_not_ *bold* `code`", r"\_not\_ \*bold\* \`code\`"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[a](javascript:1) [b]: c", r"\[a\](javascript:1) [b\]: c"),
        ("a | b", r"a \| b"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("3. item", r"3\. item"),
        ("3.2", "3.2"),
        ("one\ntwo", "one two"),
        ("\x1b[31mred", r"\\x1b[31mred"),
        ("$x$", r"\$x\$"),
    ],
)
def test_text(given, written):
    assert plain(given) == written


def test_table_sets_numbers_right_and_keeps_rows_whole():
    table = Table(
        id="t",
        caption="Scores",
        columns=(Column(name="task"), Column(name="accuracy", kind="number")),
        rows=(Row(cells=(text("a|b\nc"), Cell(shown="81.2", value=0.8123))),),
        note="In percent.",
    )
    lines = markdown_table(table).splitlines()
    assert lines == [
        "**Scores**",
        "",
        "| task | accuracy |",
        "| --- | ---: |",
        r"| a\|b c | 81.2 |",
        "",
        "In percent.",
    ]


def test_nothing_closes_a_block_from_inside():
    assert fenced("a\n```\nb") == "````\na\n```\nb\n````\n"
