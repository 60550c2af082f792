"""Data: sources, rows by part, truncation, rows seen before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_findings import made_findings, plan_of
from tunescope.report.content import numbers
from tunescope.report.content.data import data_section
from tunescope.tasks.spec import Dataset


@pytest.fixture(scope="module")
def findings():
    return made_findings(plan_of())


def test_what_was_cut_off_is_told_with_its_share(findings):
    section = data_section(findings)
    assert section.sentences[0].text == (
        "mrpc, report rows: 2 of 400 (0.5%) lost text to max_length 256 under decoder."
    )
    table = next(table for table in section.tables if table.id == "data-truncation")
    assert table.rows[0].cells[5].value == 0.005


def test_nothing_cut_off_is_told_too(findings):
    whole = tuple(
        replace(task, truncated=tuple(replace(cut, num_truncated=0) for cut in task.truncated))
        for task in findings.data
    )
    assert data_section(replace(findings, data=whole)).sentences[0].text == "No example lost text to max_length."


def test_sources_and_labels_are_shown_as_they_are(findings):
    sources, parts = data_section(findings).tables[:2]
    assert sources.rows[0].cells[2].shown == "<script>alert(1)</script>"
    assert (sources.rows[0].cells[-2].shown, sources.rows[0].cells[-1].shown) == ("abababababab", numbers.NOTHING)
    assert sources.rows[0].cells[-2].value == "ab" * 32
    assert parts.rows[0].cells[-1].shown == "yes 300, no 100"


def test_rows_seen_before_and_kin_are_told_of(findings):
    kin = {"num_rows": 40, "num_equal": 1, "num_sharing": 2, "num_inside": 0}
    task = replace(findings.data[0], num_seen_before=4, share_seen_before=0.01, selection_kin=kin, reason="not run yet")
    told = [sentence.text for sentence in data_section(replace(findings, data=(task,))).sentences]
    assert "mrpc: 4 report rows (1.0%) have texts that occur in train or selection rows too." in told
    assert any("1 equal a train row, 2 share a text with one and 0 stand inside a longer one" in line for line in told)
    assert "mrpc: not all is known of its data: not run yet." in told


def test_files_of_the_studys_own_have_no_revision_to_be_newest(findings):
    study = findings.plan.study
    own = study.tasks[0].model_copy(update={"dataset": Dataset(files={"train": "a.csv", "validation": "b.csv"})})
    plan = replace(findings.plan, study=study.model_copy(update={"tasks": (own, *study.tasks[1:])}))
    for found, shown in ((findings, "newest when it was fetched"), (replace(findings, plan=plan), "")):
        data = tuple(replace(task, revision=None) for task in found.data)
        table = data_section(replace(found, data=data)).tables[0]
        cells = dict(zip((column.name for column in table.columns), table.rows[0].cells, strict=True))
        assert cells["revision"].shown == shown
