"""One style for every figure: column width, colours that colour-blind readers tell apart, nothing that is not data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunescope.errors import TunescopeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN_WIDTH_IN = 3.4
"""One column of a two-column paper, in inches."""
FORMATS = (".svg", ".pdf", ".png")
TEXT_POINTS = 8.0
SMALL_POINTS = 7.0
"""Of legends and ticks."""
MISSING_GLYPH = "Glyph .* missing from font"
"""Matplotlib's warning of a letter that its font lacks: a box in PDF and PNG; an SVG holds the text all the same."""

_SETTINGS: Any = {
    "font.family": ["DejaVu Sans"],  # comes with Matplotlib, so that every machine draws the same
    "font.size": TEXT_POINTS,
    "text.parse_math": False,  # names are the user's: a '$' in one is a '$'
    "axes.labelsize": TEXT_POINTS,
    "axes.titlesize": TEXT_POINTS,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "legend.fontsize": SMALL_POINTS,
    "legend.frameon": False,
    "xtick.labelsize": SMALL_POINTS,
    "ytick.labelsize": SMALL_POINTS,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.2,
    "figure.dpi": 200,
    "savefig.dpi": 300,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "tunescope",
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib with our settings; what was set before is set again at the end. No display and no backend is asked for."""
    import matplotlib as mpl

    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=MISSING_GLYPH)
        yield


def check_format(path: Path) -> None:
    """Raises TunescopeError if a file's ending is none of `FORMATS`; to be asked before an hour's work."""
    if path.suffix.lower() not in FORMATS:
        raise TunescopeError(f"--figure {path}: expected a file that ends in {', '.join(FORMATS)}.")


def save(figure: Figure, path: Path, *, title: str = "") -> None:
    """Writes a figure in the format that the file's ending names; the same figure gives the same bytes.

    Args:
        figure: As wide as it is to be printed.
        path: An .svg, .pdf or .png.
        title: For the file's metadata, which screen readers and libraries of papers show.

    Raises:
        TunescopeError: If the ending is none of `FORMATS`, or the file cannot be written.
    """
    check_format(path)
    metadata: dict[str, str | None] = {"Title": title} if title else {}
    undated = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix.lower())
    if undated is not None:
        metadata[undated] = None
    try:
        figure.savefig(path, metadata=metadata)
    except OSError as error:
        raise TunescopeError(f"--figure {path} cannot be written: {error.strerror}.") from error
