r"""Tables as LaTeX with booktabs, to be read in by `\input`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tunescope.report.content.table import Table
from tunescope.report.terminal.inert import inert

_FEW_COLUMNS = 8
LONG_TABLE = 40
"""Rows from which a table runs over pages (longtable) instead of floating."""

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{ALMOST EQUAL TO}": r"$\approx$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{INFINITY}": r"$\infty$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{NO-BREAK SPACE}": "~",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}


def escaped(text: str) -> str:
    r"""A text on one line that LaTeX shows as it is; minus and plus signs, quotes and dashes as LaTeX writes them.

    Example:
        >>> print(escaped("50% of a_b"))
        50\% of a\_b
    """
    return "".join(_ESCAPED.get(letter, letter) for letter in " ".join(inert(text).split()))


def latex_table(table: Table) -> str:
    r"""A table with caption, label `tab:<id>` and note; the first line says which packages it needs.

    Up to `LONG_TABLE` rows it floats (table, tabular), else it runs over pages. Numbers are set right.
    """
    is_long = len(table.rows) > LONG_TABLE
    size = r"\small" if len(table.columns) <= _FEW_COLUMNS else "\\footnotesize\n\\setlength{\\tabcolsep}{3pt}"
    columns = "".join("r" if column.kind == "number" else "l" for column in table.columns)
    heads = _line(escaped(column.name) for column in table.columns)
    body = "\n".join(_line(_number(cell.shown) for cell in row.cells) for row in table.rows)
    caption = rf"\caption{{{escaped(table.caption)}}}\label{{tab:{table.id}}}"
    note = escaped(table.note)
    text = (_long if is_long else _floating)(size, columns, heads, body, caption, note)
    packages = r"\usepackage{booktabs}" + (r", \usepackage{longtable}" if is_long else "")
    engine = "" if _fits_pdflatex(text) else "; compile with LuaLaTeX or XeLaTeX and a font that has its letters"
    return f"% needs {packages}{engine}\n{text}"


def _floating(size: str, columns: str, heads: str, body: str, caption: str, note: str) -> str:
    foot = (
        f"\n\\par\\smallskip\\begin{{minipage}}{{0.95\\linewidth}}\\footnotesize {note}\\end{{minipage}}"
        if note
        else ""
    )
    return (
        f"\\begin{{table}}\n\\centering\n{size}\n{caption}\n\\smallskip\n\\begin{{tabular}}{{@{{}}{columns}@{{}}}}\n\\toprule\n{heads}\n"
        f"\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}{foot}\n\\end{{table}}\n"
    )


def _long(size: str, columns: str, heads: str, body: str, caption: str, note: str) -> str:
    foot = f"\\par\\smallskip\\noindent{{\\footnotesize {note}}}\n" if note else ""
    return (
        f"{{{size}\n\\begin{{longtable}}{{@{{}}{columns}@{{}}}}\n{caption}\\\\\n\\toprule\n{heads}\n\\midrule\n\\endfirsthead\n"
        f"\\toprule\n{heads}\n\\midrule\n\\endhead\n\\bottomrule\n\\endfoot\n{body}\n\\end{{longtable}}\n}}\n{foot}"
    )


def _line(cells: Iterable[str]) -> str:
    """Cells of a row; a bracket at its start is kept from being read as an option of the line before."""
    written = list(cells)
    first = "{}" if written and written[0].startswith(("[", "*")) else ""
    return first + " & ".join(written) + r" \\"


def _number(shown: str) -> str:
    """A cell's text; a hyphen before a digit is a minus."""
    return re.sub(r"(?<![\w.)\]])-(?=\.?\d)", "$-$", escaped(shown))


def _fits_pdflatex(text: str) -> bool:
    """Whether pdflatex knows every letter: Latin ones, with accents."""
    return all(letter < "\N{LATIN SMALL LETTER LONG S}" for letter in text)
