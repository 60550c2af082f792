"""The table of a check: sections in order, every finding in it, faults once more at the end."""

from __future__ import annotations

import pytest
from rich.console import Console

from tunescope.preflight.finding import CheckReport, Finding
from tunescope.report.terminal.check import check_summary


def _shown(*findings):
    console = Console(width=120, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(check_summary(CheckReport(study="small", findings=findings)))
    return capture.get()


def _finding(section, subject, status, message):
    return Finding(section=section, subject=subject, status=status, message=message)


def test_findings_stand_by_section_whatever_their_order():
    text = _shown(
        _finding("disk", "store", "fault", "10 GiB needed"),
        _finding("data", "mrpc", "ok", "408 [report] rows"),
        _finding("data", "mrpc", "note", "few rows"),
    )
    assert text.index("408 [report] rows") < text.index("few rows") < text.index("10 GiB needed")
    assert text.count("mrpc") == 1, "a subject is not repeated from line to line"
    assert "fault: disk: store: 10 GiB needed" in text
    assert text.rstrip().endswith("1 fault, 1 note, 3 findings in all")


@pytest.mark.parametrize("status,ending", [("ok", "no faults, no notes"), ("note", "no faults, 1 note")])
def test_without_faults_it_says_so(status, ending):
    text = _shown(_finding("data", "mrpc", status, "told"))
    assert f"{ending}, 1 findings in all" in text
