"""What a check found, as a person reads it."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunescope.preflight.finding import SECTIONS, CheckReport

_STYLES = {"ok": "green", "note": "yellow", "fault": "bold red"}


def check_summary(report: CheckReport) -> RenderableType:
    """Every finding in a table by section, then the faults once more, then how many there are."""
    table = Table(box=box.SIMPLE_HEAD, title=f"check of {report.study}", title_justify="left", title_style="bold")
    table.add_column("section", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("subject", overflow="fold", max_width=48)
    table.add_column("finding", overflow="fold")
    for section in SECTIONS:
        findings = [finding for finding in report.findings if finding.section == section]
        subject = ""
        for number, finding in enumerate(findings):
            table.add_row(
                section if number == 0 else "",
                Text(finding.status, style=_STYLES[finding.status]),
                Text("" if number and finding.subject == subject else finding.subject),
                Text(finding.message),
                end_section=number == len(findings) - 1,
            )
            subject = finding.subject
    faults = [finding for finding in report.findings if finding.status == "fault"]
    num_notes = sum(finding.status == "note" for finding in report.findings)
    parts: list[RenderableType] = [table]
    parts += [
        Text(f"fault: {finding.section}: {finding.subject}: {finding.message}", style="red") for finding in faults
    ]
    told = f"{_number(len(faults), 'fault')}, {_number(num_notes, 'note')}, {len(report.findings)} findings in all"
    parts.append(Text(told, style="bold red" if faults else "bold green"))
    return Group(*parts)


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
