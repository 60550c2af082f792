"""One style for figures, put on and taken off again; endings that name no format are told before any work."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from tunescope.errors import TunescopeError
from tunescope.report.figures.style import FORMATS, check_format, save, styled


def test_what_was_set_before_is_set_again():
    before = mpl.rcParams["font.size"]
    with styled():
        assert mpl.rcParams["font.size"] == 8
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert mpl.rcParams["font.size"] == before


@pytest.mark.parametrize("name", ["a", "a.jpg", "a.svgz"])
def test_an_ending_without_a_format_is_told(name):
    with pytest.raises(TunescopeError, match=r"expected a file that ends in \.svg, \.pdf, \.png"):
        check_format(Path(name))


@pytest.mark.parametrize("ending", FORMATS)
def test_a_place_that_is_not_there_is_told(ending, tmp_path):
    check_format(Path(f"a{ending.upper()}"))
    with styled(), pytest.raises(TunescopeError, match="cannot be written: No such file"):
        save(Figure(), tmp_path / "none" / f"a{ending}")
