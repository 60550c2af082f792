"""Failures and warnings: failed jobs with their reasons, flags with the runs they are about."""

from __future__ import annotations

from dataclasses import replace

from made_findings import made_findings, plan_of, score_of_run, sweep_summary
from tunescope.report.content.failures import failures_section


def test_nothing_failed_is_said():
    section = failures_section(made_findings(plan_of()))
    assert [(one.text, one.tone) for one in section.sentences] == [
        ("No job failed, none is left to do, and no run is flagged.", "good")
    ]
    assert section.tables == ()


def test_failed_jobs_have_their_reason_and_log():
    plan = plan_of()
    findings = made_findings(plan, lambda run, metric: None if run.seed == 2 else score_of_run(run, metric))
    section = failures_section(findings)
    assert section.sentences[0].text == "8 jobs failed."
    (table,) = section.tables
    first = table.rows[0].cells
    assert (first[0].shown, first[2].shown, first[3].shown) == ("mrpc-full-seed2", "RunError", "out of memory")
    assert first[0].anchor.startswith("job-")
    assert first[4].shown.startswith("logs/train-")


def test_jobs_to_come_are_told_apart_from_those_nobody_wants():
    findings = made_findings(plan_of())
    first, second, *rest = findings.jobs
    jobs = (
        replace(first, state="missing", reason="not run yet"),
        replace(second, state="missing", is_wanted=False),
        *rest,
    )
    section = failures_section(replace(findings, jobs=jobs))
    assert section.sentences[0].text == "1 job is still to come."
    assert len(section.tables[0].rows) == 1


def test_flags_and_undefined_scores_are_told_once():
    findings = made_findings(plan_of())
    rows = tuple(
        replace(row, flags="all answers are yes") if row.kind == "run" and row.seed == 1 else row
        for row in findings.rows
    )
    lost = tuple(
        replace(row, value=None, reason="0/0") if (row.method, row.seed, row.metric) == ("full", 2, "f1") else row
        for row in rows
    )
    sweep = sweep_summary(findings.plan, "full", warnings=("at the edge",))
    told = [one.text for one in failures_section(replace(findings, rows=lost, sweeps=(sweep,))).sentences]
    assert told == [
        "mrpc full seed 1, mrpc lora seed 1, rte full seed 1, rte lora seed 1: all answers are yes.",
        "No f1 for mrpc full seed 2: 0/0.",
        "Sweep mrpc full: at the edge.",
    ]
