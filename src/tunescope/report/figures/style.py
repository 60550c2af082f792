"""One style for every figure: column width, colours that colour-blind readers tell apart, nothing that is not data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunescope.errors import TunescopeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN_WIDTH_IN = 3.4
"""One column of a two-column paper, in inches."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito (2008), the order in which they are used."""
GREY = "#808080"
"""Of controls and guides."""
FORMATS = (".svg", ".pdf", ".png")

_SETTINGS: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.2,
    "figure.dpi": 200,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "tunescope",
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib with our settings, without a display; what was set before is set again at the end."""
    import matplotlib as mpl

    mpl.use("agg")
    with mpl.rc_context(_SETTINGS):
        yield


def check_format(path: Path) -> None:
    """Raises TunescopeError if a file's ending is none of `FORMATS`; to be asked before an hour's work."""
    if path.suffix.lower() not in FORMATS:
        raise TunescopeError(f"--figure {path}: expected a file that ends in {', '.join(FORMATS)}.")


def save(figure: Figure, path: Path) -> None:
    """Writes a figure in the format that the file's ending names; the same figure gives the same bytes.

    Raises:
        TunescopeError: If the ending is none of `FORMATS`, or the file cannot be written.
    """
    check_format(path)
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
    try:
        figure.savefig(path, bbox_inches="tight", metadata=undated)
    except OSError as error:
        raise TunescopeError(f"--figure {path} cannot be written: {error.strerror}.") from error
