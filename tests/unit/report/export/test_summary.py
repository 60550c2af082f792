"""The report in short: every verdict in words and in numbers, nothing rounded, nothing of users acting."""

from __future__ import annotations

import json

import pytest

from made_findings import made_findings, plan_of
from report_content import empty_report, made_report, nasty_report
from tunescope.report.content.contents import report_content
from tunescope.report.export.summary import summary_json, summary_markdown


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def test_markdown_holds_question_verdicts_and_scores():
    report = made_report()
    written = summary_markdown(report)
    assert report.question in written
    for sentence in (*report.verdicts, *report.undecided, *report.summary):
        assert f"- {sentence.text}" in written
    quality = next(section for section in report.sections if section.id == "quality").tables[0]
    assert all(f"| {row.cells[0].shown} |" in written for row in quality.rows)


def test_a_study_of_which_nothing_ran_says_so():
    written = summary_markdown(empty_report())
    assert "Nothing is decided." in written
    assert "no run is done" in written


def test_markup_of_users_is_text():
    written = summary_markdown(nasty_report())
    assert "<script" not in written
    assert "<img" not in written


def test_a_long_table_is_cut_and_says_where_the_rest_is():
    written = summary_markdown(made_report(tasks=tuple(f"task{n}" for n in range(100))))
    assert "The first 60 of " in written
    assert "`tables/" in written


def test_json_holds_every_verdict_and_score_unrounded(findings):
    report = report_content(findings)
    found = json.loads(summary_json(report, findings))
    assert (found["format"], found["study"], found["question"]) == (1, "t", "Does LoRA <b>cost</b> quality?")
    assert len(found["verdicts"]) == len(findings.comparisons)
    for row, one in zip(found["verdicts"], findings.comparisons, strict=True):
        assert row["difference"] == one.comparison.difference.value
        assert row["verdict"] == one.verdict.answer
    texts = {sentence.text for sentence in (*report.verdicts, *report.undecided)}
    assert {row["text"] for row in found["verdicts"]} == texts
    for row, one in zip(found["quality"], findings.quality, strict=True):
        assert row["estimate"]["value"] == one.estimate.value
        assert [seed["value"] for seed in row["seeds"]] == [seed.value for seed in one.seeds]
    assert found["jobs"]["done"] == findings.provenance.num_done
    assert [row["label"] for row in found["failures"]] == [
        line.label for line in findings.jobs if line.state == "failed"
    ]
