"""LaTeX: nothing in a cell is a command, minus signs are minus signs, and what it makes compiles."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from report_content import NASTY
from tunescope.report.content.table import Cell, Column, Row, Table, text
from tunescope.report.export.latex import LONG_TABLE, escaped, latex_table

LATIN = [
    r"a_b & 50% #1 $x$ {y} ~ ^ \input{/etc/passwd}",
    "[x]",
    "* bold",
    "line\nbreak | pipe",
    '\N{LEFT DOUBLE QUOTATION MARK}curly\N{RIGHT DOUBLE QUOTATION MARK} "straight" it\N{RIGHT SINGLE QUOTATION MARK}s',
    "\N{PLUS-MINUS SIGN}0.5 \N{MULTIPLICATION SIGN} 3 \N{GREATER-THAN OR EQUAL TO} 2 \N{EN DASH}",
    "\x00\x1b[31m",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "",
]


def _table(names, times=1):
    rows = tuple(Row(cells=(text(name), Cell(shown="-0.4 [-1.9, 1.1]", value=-0.4))) for name in names) * times
    columns = (Column(name="task_name"), Column(name="A - B, 95%", kind="number"))
    return Table(id="t-1", caption="Scores of a_b & c", columns=columns, rows=rows, note="Intervals: 95%.")


def test_every_special_letter_is_written_out():
    assert escaped(LATIN[0]) == (
        r"a\_b \& 50\% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}input\{/etc/passwd\}"
    )


def test_table_is_a_booktabs_table():
    written = latex_table(_table(["mrpc"]))
    assert written.startswith("% needs \\usepackage{booktabs}\n\\begin{table}")
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\label{tab:t-1}", r"{@{}lr@{}}", "Intervals: 95\\%."):
        assert part in written
    assert r"mrpc & $-$0.4 [$-$1.9, 1.1] \\" in written
    assert r"task\_name & A - B, 95\% \\" in written


def test_a_bracket_at_the_start_of_a_row_is_no_option_of_the_row_before():
    assert "\n{}[x] & " in latex_table(_table(["a", "[x]"]))


def test_many_rows_run_over_pages():
    assert r"\begin{longtable}" not in latex_table(_table(["a"], LONG_TABLE))
    written = latex_table(_table(["a"], LONG_TABLE + 1))
    assert r"\begin{longtable}" in written
    assert r"\usepackage{longtable}" in written.splitlines()[0]


def test_other_scripts_say_what_they_need():
    assert "LuaLaTeX" in latex_table(_table(NASTY)).splitlines()[0]
    assert "LuaLaTeX" not in latex_table(_table(LATIN)).splitlines()[0]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("times", [1, 8], ids=("floating", "over pages"))
def test_it_compiles(times, tmp_path):
    (tmp_path / "table.tex").write_text(latex_table(_table(LATIN, times)), encoding="utf-8")
    (tmp_path / "page.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,longtable}\\begin{document}\\input{table}\\end{document}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-1500:]
