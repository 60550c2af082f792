"""Makes docs/demo_report: the demo study's page and summary alone, without the tables and figures that lie beside a report.

make demo && .venv/bin/python tools/make_example_report.py demo-store
"""

from __future__ import annotations

import sys
from pathlib import Path

from tunescope.analysis.findings import collect_findings
from tunescope.api import open_study
from tunescope.report.content.contents import report_content
from tunescope.report.export.summary import summary_markdown
from tunescope.report.page.render import render_page

OUT = Path(__file__).resolve().parents[1] / "docs" / "demo_report"


def main(store: Path) -> None:
    """Writes the page and the summary of the study in a store."""
    opened = open_study(store)
    findings = collect_findings(opened.plan, opened.store)
    report = report_content(findings)
    last = max(job.started_at for job in findings.jobs if job.started_at is not None)
    OUT.mkdir(exist_ok=True)
    page = render_page(
        report,
        generated=f"Of a run that ended {last:%Y-%m-%d %H:%M} UTC; an example, without the tables and figures that lie beside a report",
        data_files={"summary.md": "the verdicts, for a pull request"},
    )
    (OUT / "index.html").write_text(page, encoding="utf-8")
    (OUT / "summary.md").write_text(summary_markdown(report), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
